/* MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), the part that Redis' cmsgpack speaks:
 * how events are handed to a Redis function and how its records come back. Writer, and a bounds-checked
 * reader without I/O. */
#ifndef WP_CORE_PACK_H
#define WP_CORE_PACK_H
#include <stdint.h>
#include "core/buf.h"

void wp_pack_array(struct wp_buf *out, uint32_t count); /* then `count` values */
void wp_pack_map(struct wp_buf *out, uint32_t count);   /* then `count` pairs of string and value */
void wp_pack_str(struct wp_buf *out, struct wp_str text);
/* What is packed between open and close becomes one string. opened: the return value of wp_pack_open. */
size_t wp_pack_open(struct wp_buf *out);
void wp_pack_close(struct wp_buf *out, size_t opened);
void wp_pack_int(struct wp_buf *out, int64_t value);
void wp_pack_double(struct wp_buf *out, double value);
void wp_pack_bool(struct wp_buf *out, bool value);

/* The reader: every call moves `at`; after a failure `failed` stays set and all later reads return zero
 * values, so a record is read in one go and checked once at its end. Strings are borrowed from the input. */
struct wp_unpack {
    const unsigned char *at, *end;
    bool failed;
};

struct wp_unpack wp_unpack(struct wp_str bytes);
uint32_t wp_unpack_array(struct wp_unpack *in); /* number of elements that follow */
uint32_t wp_unpack_map(struct wp_unpack *in);
struct wp_str wp_unpack_str(struct wp_unpack *in); /* false and nil read as the empty string */
int64_t wp_unpack_int(struct wp_unpack *in);   /* an integral double is accepted; false and nil read as 0 */
double wp_unpack_double(struct wp_unpack *in); /* an integer is accepted; false and nil read as 0 */
bool wp_unpack_bool(struct wp_unpack *in);     /* nil reads as false */
bool wp_unpack_nil(struct wp_unpack *in);      /* whether the next value is nil; reads it if so */
void wp_unpack_skip(
    struct wp_unpack *in); /* one value of any kind, nested ones included (bounded depth 16) */
bool wp_unpack_at_end(const struct wp_unpack *in);

#endif
