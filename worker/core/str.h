/* A borrowed slice of bytes, not NUL-terminated. ptr may be NULL only when len is 0. */
#ifndef WP_CORE_STR_H
#define WP_CORE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wp_str {
    const char *ptr;
    size_t len;
};

#define WP_STR(literal) ((struct wp_str){(literal), sizeof(literal) - 1})

static inline struct wp_str wp_str(const char *text) {
    return (struct wp_str){text, text ? strlen(text) : 0};
}
static inline bool wp_str_eq(struct wp_str a, struct wp_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool wp_str_is(struct wp_str a, const char *text) {
    return wp_str_eq(a, wp_str(text));
}

/* [A-Za-z0-9_.-]{1,64}: philosophy, namespace, tenant, host. */
bool wp_str_is_name(struct wp_str text);
/* Valid UTF-8 without control characters, 1 to max bytes: ids (256) and cache keys (512). */
bool wp_str_is_id(struct wp_str text, size_t max);
bool wp_str_is_utf8(struct wp_str text);
/* The length in bytes of the character that the text begins with; 0: it begins with no UTF-8, or is empty. */
size_t wp_str_char(struct wp_str text);
/* Cuts off the character at the end of a text that was truncated within it. */
void wp_str_cut(char *text);
/* FNV-1a, 32 bit: the partition of a host's commands is this modulo the topic's partitions. */
unsigned wp_str_hash(struct wp_str text);
uint64_t wp_str_hash64(struct wp_str text); /* FNV-1a, 64 bit */

#endif
