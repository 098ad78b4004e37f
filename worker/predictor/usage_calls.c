/* Packs usage records for the {pool} functions. Pure. */
#include "predictor/usage_calls.h"

enum column { OFFSETS, RECORD_IDS, GROUPS, AGENT_IDS, FIGURES, DICTIONARY };

static uint32_t add_philosophy(struct wp_columns *columns, struct wp_str philosophy) {
    struct wp_buf *words = &columns->columns[DICTIONARY];
    size_t from = words->len;
    wp_pack_str(words, philosophy);
    return wp_columns_word(columns, DICTIONARY, from);
}

/* Big-endian, for Lua's struct.unpack; an unknown value is NaN. */
static void put_double(char *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++) out[i] = (char)(bits >> (56 - 8 * i));
}

void wp_add_usage(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid) {
    const struct wp_usage *e = &event->usage;
    char figures[25] = {0};
    bool whole = !isnan(e->cpu_percent) && !isnan(e->memory_usage_mb) && !isnan(e->execution_time);
    (void)invalid;
    put_double(figures, e->cpu_percent);
    put_double(figures + 8, e->memory_usage_mb);
    put_double(figures + 16, e->execution_time);
    wp_pack_int(wp_columns_value(columns, OFFSETS), meta->offset);
    wp_pack_str(wp_columns_value(columns, RECORD_IDS), e->record_id);
    wp_pack_int(wp_columns_value(columns, GROUPS), add_philosophy(columns, e->philosophy));
    wp_pack_str(wp_columns_value(columns, AGENT_IDS), e->agent_id);
    wp_pack_str(wp_columns_value(columns, FIGURES), (struct wp_str){figures, whole ? 24 : 25});
}
