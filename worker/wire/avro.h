/* The primitives of Avro's binary encoding. Reading never leaves [at, end). The first malformed value sets
 * `why`; every read after that returns zero, so that a caller may check `why` once at the end. Pure; any
 * thread. */
#ifndef WP_WIRE_AVRO_H
#define WP_WIRE_AVRO_H
#include <stdint.h>
#include "core/buf.h"

struct avro_reader {
    const unsigned char *at, *end;
    const char *why;             /* what is malformed; NULL: nothing so far */
    const unsigned char *bad_at; /* where that is */
};

static inline struct avro_reader avro_reader(struct wp_str datum) {
    const unsigned char *at = (const unsigned char *)datum.ptr;
    return (struct avro_reader){.at = at, .end = at + datum.len};
}
static inline size_t avro_left(const struct avro_reader *in) {
    return (size_t)(in->end - in->at);
}
static inline void avro_bad(struct avro_reader *in, const char *why) {
    if (!in->why) in->bad_at = in->at;
    if (!in->why) in->why = why;
    in->at = in->end;
}

int64_t avro_read_long_slow(struct avro_reader *in);
static inline int64_t avro_read_long(struct avro_reader *in) {
    if (in->at < in->end && *in->at < 0x80) {
        uint64_t raw = *in->at++;
        return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
    }
    return avro_read_long_slow(in);
}
int32_t avro_read_int(struct avro_reader *in);
double avro_read_double(struct avro_reader *in);
float avro_read_float(struct avro_reader *in);
bool avro_read_bool(struct avro_reader *in);
struct wp_str avro_read_bytes(struct avro_reader *in); /* borrowed; ptr is not NULL unless `why` is set */
struct wp_str avro_read_fixed(struct avro_reader *in, size_t size);
size_t avro_read_branch(struct avro_reader *in, size_t branches); /* a union's branch, < `branches` */
/* The number of items in the next block of an array or map; 0 at its end. */
uint64_t avro_read_block(struct avro_reader *in);
/* A map of strings: returns its datum, checked and borrowed, whose pairs avro_map_next reads. */
struct wp_str avro_read_map(struct avro_reader *in);

struct avro_map { /* a walk over the pairs of a datum from avro_read_map: {avro_reader(datum), 0} */
    struct avro_reader in;
    uint64_t left; /* in the block */
};
bool avro_map_next(struct avro_map *map, struct wp_str *ret_key, struct wp_str *ret_value);

static inline char *avro_room(struct wp_buf *out, size_t bytes) {
    return out->cap - out->len >= bytes && out->data ? out->data + out->len : wp_buf_reserve(out, bytes);
}
void avro_write_long(struct wp_buf *out, int64_t value);
void avro_write_double(struct wp_buf *out, double value);
void avro_write_float(struct wp_buf *out, float value);
void avro_write_bool(struct wp_buf *out, bool value);
void avro_write_bytes(struct wp_buf *out, struct wp_str bytes);

#endif
