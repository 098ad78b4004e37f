/* Owns the translation between usage records, predictions and the {pool} functions. Pure. */
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

static struct wp_requirements read_requirements(struct wp_unpack *in) {
    struct wp_requirements r;
    if (wp_unpack_array(in) != 3) in->failed = true;
    r.cpu_percent = wp_unpack_double(in);
    r.memory_mb = wp_unpack_double(in);
    r.execution_time_seconds = wp_unpack_double(in);
    return r;
}

bool wp_read_prediction(struct wp_unpack *in, struct wp_prediction *ret) {
    if (wp_unpack_array(in) != 6) in->failed = true;
    ret->philosophy = wp_unpack_str(in);
    ret->requirements = read_requirements(in);
    ret->recommended = read_requirements(in);
    ret->confidence = wp_unpack_double(in);
    ret->samples = wp_unpack_int(in);
    ret->basis = wp_unpack_str(in);
    return !in->failed;
}
