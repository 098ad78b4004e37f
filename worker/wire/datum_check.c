/* Walks a datum of any schema with bounds checks. Pure; any thread. */
#include "wire/avro.h"
#include "wire/datum.h"
#include "wire/keys.h"

#define DEEPEST_DATUM 64
#define FREE_STEPS 4096   /* number of values that is allowed in a datum of any size */
#define STEPS_PER_BYTE 16 /* nulls and empty records take no bytes: limits arrays of them */

struct walk {
    struct avro_reader in;
    uint64_t steps; /* how many more values are allowed */
    unsigned depth;
};

static void walk_value(struct walk *walk, const struct type *type);

static void walk_key(struct walk *walk, struct keys *keys) {
    struct wp_str key = avro_read_bytes(&walk->in);
    if (!wp_str_is_utf8(key)) avro_bad(&walk->in, "a map's key is not UTF-8");
    if (!walk->in.why) keys_add(keys, key, 0);
}

static void walk_items(struct walk *walk, const struct type *type) {
    struct keys keys = {0};
    uint64_t count;
    while ((count = avro_read_block(&walk->in)) > 0) {
        if (count > walk->steps)
            avro_bad(&walk->in, "an array or map claims more items than its bytes can hold");
        for (; count > 0 && !walk->in.why; count--) {
            if (type->kind == TYPE_MAP) walk_key(walk, &keys);
            walk_value(walk, type->items);
        }
    }
    if (keys_repeated(&keys)) avro_bad(&walk->in, "a map has a key twice");
    keys_done(&keys);
}

static void walk_plain(struct avro_reader *in, const struct type *type) {
    switch (type->kind) {
    case TYPE_BOOLEAN:
        avro_read_bool(in);
        break;
    case TYPE_INT:
        avro_read_int(in);
        break;
    case TYPE_LONG:
        avro_read_long(in);
        break;
    case TYPE_FLOAT:
        avro_read_fixed(in, 4);
        break;
    case TYPE_DOUBLE:
        avro_read_fixed(in, 8);
        break;
    case TYPE_BYTES:
        avro_read_bytes(in);
        break;
    case TYPE_STRING:
        if (!wp_str_is_utf8(avro_read_bytes(in))) avro_bad(in, "a string is not UTF-8");
        break;
    case TYPE_FIXED:
        avro_read_fixed(in, type->count);
        break;
    default: /* an enum is its symbol's number; null takes no byte */
        if (type->kind == TYPE_ENUM) avro_read_branch(in, type->count);
        break;
    }
}

static void walk_value(struct walk *walk, const struct type *type) {
    if (walk->in.why) return;
    if (walk->depth == DEEPEST_DATUM || walk->steps == 0) {
        avro_bad(&walk->in, walk->steps ? "it is nested more than 64 deep"
                                        : "it has more values than its bytes can hold");
        return;
    }
    walk->depth++;
    walk->steps--;
    if (type->kind == TYPE_RECORD) {
        for (size_t i = 0; i < type->count; i++) walk_value(walk, type->fields[i].type);
    } else if (type->kind == TYPE_UNION) {
        walk_value(walk, type->branches[avro_read_branch(&walk->in, type->count)]);
    } else if (type->kind == TYPE_ARRAY || type->kind == TYPE_MAP) {
        walk_items(walk, type);
    } else {
        walk_plain(&walk->in, type);
    }
    walk->depth--;
}

enum wp_err datum_check(const struct type *type, struct wp_str datum, struct wp_error *error) {
    struct walk walk = {.in = avro_reader(datum), .steps = FREE_STEPS + STEPS_PER_BYTE * (uint64_t)datum.len};
    walk_value(&walk, type);
    if (!walk.in.why && avro_left(&walk.in) > 0) avro_bad(&walk.in, "bytes follow its end");
    if (!walk.in.why) return WP_OK;
    return wp_fail(error, WP_ERR_DATA, "the Avro datum is malformed at its byte %zu: %s",
                   (size_t)(walk.in.bad_at - (const unsigned char *)datum.ptr), walk.in.why);
}
