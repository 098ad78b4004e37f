/* The ids of traces and spans: see ids.h. */
#include "trace/ids.h"

/* FNV-1a over what is added, and at the end the finalizer of MurmurHash3, whose every bit depends on each of
 * the input's. */
struct hash {
    uint64_t value;
};

static void add(struct hash *hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++) hash->value = (hash->value ^ at[i]) * 0x100000001b3u;
}

static struct hash begin(unsigned char seed) {
    struct hash hash = {0xcbf29ce484222325u};
    add(&hash, &seed, 1);
    return hash;
}

/* Never all 0, which stands for no id. */
static void end(struct hash hash, unsigned char ret[8]) {
    uint64_t value = hash.value;
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdu;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53u;
    value ^= value >> 33;
    if (value == 0) value = 1;
    for (int i = 0; i < 8; i++) ret[i] = (unsigned char)(value >> (56 - 8 * i));
}

void wp_trace_id_of(struct wp_str partition, int64_t offset, int64_t timestamp_ms,
                    unsigned char ret[WP_TRACE_ID_BYTES]) {
    for (unsigned char half = 0; half < 2; half++) {
        struct hash hash = begin(half);
        add(&hash, partition.ptr, partition.len);
        add(&hash, &offset, sizeof offset);
        add(&hash, &timestamp_ms, sizeof timestamp_ms);
        end(hash, ret + (size_t)8 * half);
    }
}

void wp_span_id_of_record(const unsigned char trace[WP_TRACE_ID_BYTES], struct wp_str partition,
                          int64_t offset, unsigned char ret[WP_SPAN_ID_BYTES]) {
    struct hash hash = begin(2);
    add(&hash, trace, WP_TRACE_ID_BYTES);
    add(&hash, partition.ptr, partition.len);
    add(&hash, &offset, sizeof offset);
    end(hash, ret);
}

void wp_span_id_below(const unsigned char parent[WP_SPAN_ID_BYTES], const char *name, struct wp_str which,
                      unsigned char ret[WP_SPAN_ID_BYTES]) {
    struct hash hash = begin(3);
    add(&hash, parent, WP_SPAN_ID_BYTES);
    add(&hash, name, strlen(name));
    add(&hash, which.ptr, which.len);
    end(hash, ret);
}

bool wp_trace_is_sampled(const unsigned char trace[WP_TRACE_ID_BYTES], double ratio) {
    uint64_t random = 0;
    for (int i = 9; i < WP_TRACE_ID_BYTES; i++) random = random << 8 | trace[i];
    return (double)random >= (1 - ratio) * 0x1p56;
}
