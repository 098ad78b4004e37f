/* Owns the translation between usage records and the {pool} functions. Pure. */
#include "predictor/usage_calls.h"

void wp_add_usage(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid) {
    struct wp_buf *out = wp_columns_value(columns, 0);
    const struct wp_usage *e = &event->usage;
    (void)invalid;
    wp_pack_array(out, 7);
    wp_pack_int(out, meta->offset);
    wp_pack_str(out, e->record_id);
    wp_pack_str(out, e->agent_id);
    wp_pack_str(out, e->philosophy);
    wp_pack_optional_double(out, e->cpu_percent);
    wp_pack_optional_double(out, e->memory_usage_mb);
    wp_pack_optional_double(out, e->execution_time);
}
