/* Packs usage records for the {pool} functions. Pure. */
#include "predictor/usage_calls.h"

enum column { OFFSETS, RECORD_IDS, GROUPS, AGENT_IDS, SAMPLES, DICTIONARY };

enum { FIGURES = 3, FIGURE_BYTES = 8 };

/* is_whole: none of the figures is missing. */
static uint32_t add_group(struct wp_columns *columns, struct wp_str philosophy, bool is_whole) {
    struct wp_buf *words = &columns->columns[DICTIONARY];
    size_t from = words->len;
    wp_pack_array(words, 2);
    wp_pack_str(words, philosophy);
    wp_pack_bool(words, is_whole);
    return wp_columns_word(columns, DICTIONARY, from);
}

/* Big-endian, for Lua's struct.unpack; an unknown value is NaN. */
static void put_double(char *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++) out[i] = (char)(bits >> (56 - 8 * i));
}

/* The figures and the record id, as Redis keeps them. */
static void add_sample(struct wp_columns *columns, const struct wp_usage *e) {
    struct wp_buf *samples = wp_columns_value(columns, SAMPLES);
    char figures[FIGURES * FIGURE_BYTES];
    put_double(figures, e->cpu_percent);
    put_double(figures + FIGURE_BYTES, e->memory_usage_mb);
    put_double(figures + (size_t)2 * FIGURE_BYTES, e->execution_time);
    size_t sample = wp_pack_open(samples);
    wp_buf_add(samples, figures, sizeof figures);
    if (e->record_id.len > 0) wp_buf_add(samples, e->record_id.ptr, e->record_id.len);
    wp_pack_close(samples, sample);
}

void wp_add_usage(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid) {
    const struct wp_usage *e = &event->usage;
    bool is_whole = !isnan(e->cpu_percent) && !isnan(e->memory_usage_mb) && !isnan(e->execution_time);
    (void)invalid;
    wp_pack_int(wp_columns_value(columns, OFFSETS), meta->offset);
    wp_pack_str(wp_columns_value(columns, RECORD_IDS), e->record_id);
    wp_pack_int(wp_columns_value(columns, GROUPS), add_group(columns, e->philosophy, is_whole));
    wp_pack_str(wp_columns_value(columns, AGENT_IDS), e->agent_id);
    add_sample(columns, e);
}
