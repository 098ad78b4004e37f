/* Avro's binary encoding, value by value. Pure; any thread. */
#include "wire/avro.h"

#define LONGEST_VARINT 10

static const char ends_early[] = "it ends in the middle of a value";

int64_t avro_read_long_slow(struct avro_reader *in) {
    uint64_t raw = 0;
    for (unsigned i = 0; i < LONGEST_VARINT; i++) {
        if (in->at == in->end) {
            avro_bad(in, ends_early);
            return 0;
        }
        unsigned char byte = *in->at++;
        if (i == LONGEST_VARINT - 1 && byte > 1) break;
        raw |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
    }
    avro_bad(in, "an integer has more than 64 bits");
    return 0;
}

int32_t avro_read_int(struct avro_reader *in) {
    int64_t value = avro_read_long(in);
    if (value >= INT32_MIN && value <= INT32_MAX) return (int32_t)value;
    avro_bad(in, "an int has more than 32 bits");
    return 0;
}

static uint64_t read_little_endian(struct avro_reader *in, unsigned size) {
    if (avro_left(in) < size) {
        avro_bad(in, ends_early);
        return 0;
    }
    uint64_t raw = 0;
    for (unsigned i = 0; i < size; i++) raw |= (uint64_t)in->at[i] << (8 * i);
    in->at += size;
    return raw;
}

double avro_read_double(struct avro_reader *in) {
    uint64_t raw = read_little_endian(in, 8);
    double value;
    memcpy(&value, &raw, sizeof value);
    return value;
}

float avro_read_float(struct avro_reader *in) {
    uint32_t raw = (uint32_t)read_little_endian(in, 4);
    float value;
    memcpy(&value, &raw, sizeof value);
    return value;
}

bool avro_read_bool(struct avro_reader *in) {
    if (in->at == in->end) {
        avro_bad(in, ends_early);
        return false;
    }
    if (*in->at <= 1) return *in->at++;
    avro_bad(in, "a boolean is neither 0 nor 1");
    return false;
}

struct wp_str avro_read_fixed(struct avro_reader *in, size_t size) {
    if (size > avro_left(in)) {
        avro_bad(in, "a length goes past the end");
        return (struct wp_str){"", 0};
    }
    struct wp_str bytes = {size ? (const char *)in->at : "", size};
    in->at += size;
    return bytes;
}

struct wp_str avro_read_bytes(struct avro_reader *in) {
    int64_t length = avro_read_long(in);
    if (length >= 0) return avro_read_fixed(in, (uint64_t)length > SIZE_MAX ? SIZE_MAX : (size_t)length);
    avro_bad(in, "a length is negative");
    return (struct wp_str){"", 0};
}

size_t avro_read_branch(struct avro_reader *in, size_t branches) {
    int64_t branch = avro_read_long(in);
    if (branch >= 0 && (uint64_t)branch < branches) return (size_t)branch;
    avro_bad(in, "a union has no branch of that number");
    return 0;
}

/* A negative count is followed by the block's size in bytes. */
uint64_t avro_read_block(struct avro_reader *in) {
    int64_t count = avro_read_long(in);
    if (count >= 0) return (uint64_t)count;
    int64_t size = avro_read_long(in);
    if (size >= 0 && (uint64_t)size <= avro_left(in) && count > INT64_MIN) return (uint64_t)-count;
    avro_bad(in, "a block of an array or map has an impossible size");
    return 0;
}

bool avro_map_next(struct avro_map *map, struct wp_str *ret_key, struct wp_str *ret_value) {
    if (map->left == 0) map->left = avro_read_block(&map->in);
    if (map->left == 0 || map->in.why) return false;
    map->left--;
    *ret_key = avro_read_bytes(&map->in);
    *ret_value = avro_read_bytes(&map->in);
    return !map->in.why;
}

struct wp_str avro_read_map(struct avro_reader *in) {
    struct avro_map map = {.in = *in};
    struct wp_str key, value;
    while (avro_map_next(&map, &key, &value)) {
    }
    struct wp_str datum = {(const char *)in->at, (size_t)(map.in.at - in->at)};
    *in = map.in;
    return in->why ? (struct wp_str){NULL, 0} : datum;
}

void avro_write_long(struct wp_buf *out, int64_t value) {
    uint64_t raw = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
    char *at = avro_room(out, LONGEST_VARINT);
    size_t length = 0;
    while (raw >= 0x80) {
        at[length++] = (char)(raw | 0x80);
        raw >>= 7;
    }
    at[length++] = (char)raw;
    out->len += length;
}

static void write_little_endian(struct wp_buf *out, uint64_t raw, unsigned size) {
    char *at = avro_room(out, 8);
    for (unsigned i = 0; i < size; i++) at[i] = (char)(raw >> (8 * i));
    out->len += size;
}

void avro_write_double(struct wp_buf *out, double value) {
    uint64_t raw;
    memcpy(&raw, &value, sizeof raw);
    write_little_endian(out, raw, 8);
}

void avro_write_float(struct wp_buf *out, float value) {
    uint32_t raw;
    memcpy(&raw, &value, sizeof raw);
    write_little_endian(out, raw, 4);
}

void avro_write_bool(struct wp_buf *out, bool value) {
    *avro_room(out, 1) = (char)value;
    out->len++;
}

void avro_write_bytes(struct wp_buf *out, struct wp_str bytes) {
    avro_write_long(out, (int64_t)bytes.len);
    if (bytes.len == 0) return;
    memcpy(avro_room(out, bytes.len), bytes.ptr, bytes.len);
    out->len += bytes.len;
}
