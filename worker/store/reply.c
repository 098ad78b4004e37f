/* Reads the frame of a chunk, which tells which record belongs to which event. Pure. */
#include "store/reply.h"

bool wp_reply_skip(struct wp_unpack *in, uint32_t fields) {
    for (uint32_t i = 0; i < fields; i++) wp_unpack_skip(in);
    return !in->failed;
}

bool wp_reply_dead(struct wp_unpack *in, int64_t offset, const struct wp_reply_sink *sink) {
    struct wp_reply_record record = {.offset = offset, .topic = WP_TOPIC_DEAD_LETTER};
    record.key = wp_unpack_str(in);
    record.trace = wp_unpack_str(in);
    record.reason = wp_unpack_str(in);
    if (in->failed) return false;
    sink->take(sink->ctx, &record);
    return true;
}

bool wp_reply_each(struct wp_str chunk, const struct wp_reply_sink *sink,
                   wp_reply_record_reader *read_record) {
    struct wp_unpack in = wp_unpack(chunk);
    uint32_t records = wp_unpack_array(&in);
    struct wp_unpack offsets = in; /* the first value of the chunk; the records follow */
    wp_unpack_skip(&in);
    if (wp_unpack_array(&offsets) + 1 != records) return false;
    int64_t offset = -1;
    bool wanted = false;
    for (uint32_t i = 1; i < records && !in.failed; i++) {
        uint32_t fields = wp_unpack_array(&in);
        int64_t of = wp_unpack_int(&offsets);
        if (of != offset) wanted = sink->wants(sink->ctx, of);
        offset = of;
        if (fields < 3) return false;
        int kind = (int)wp_unpack_int(&in);
        if (!read_record(&in, kind, fields - 1, offset, sink, wanted)) return false;
    }
    return !in.failed;
}

static struct wp_requirements read_requirements(struct wp_unpack *in) {
    struct wp_requirements r;
    if (wp_unpack_array(in) != 3) in->failed = true;
    r.cpu_percent = wp_unpack_double(in);
    r.memory_mb = wp_unpack_double(in);
    r.execution_time_seconds = wp_unpack_double(in);
    return r;
}

bool wp_reply_prediction(struct wp_unpack *in, struct wp_prediction *ret) {
    if (wp_unpack_array(in) != 6) in->failed = true;
    ret->philosophy = wp_unpack_str(in);
    ret->requirements = read_requirements(in);
    ret->recommended = read_requirements(in);
    ret->confidence = wp_unpack_double(in);
    ret->samples = wp_unpack_int(in);
    ret->basis = wp_unpack_str(in);
    return !in->failed;
}
