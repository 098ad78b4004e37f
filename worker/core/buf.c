/* The growable buffer, and allocation that aborts instead of returning NULL. Any thread. */
#include "core/buf.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/secret.h"

#define FIRST_CAPACITY 64

static void *or_abort(void *ptr, size_t size) {
    if (ptr || size == 0) return ptr;
    fprintf(stderr, "warmpool: out of memory (%zu bytes wanted)\n", size);
    abort();
}

void *wp_alloc(size_t size) {
    return or_abort(malloc(size), size);
}

void *wp_calloc(size_t count, size_t size) {
    void *ptr = calloc(count, size);
    return count == 0 ? ptr : or_abort(ptr, size);
}

/* Unlike realloc, a size of 0 never frees: it shrinks to the smallest block. */
void *wp_realloc(void *ptr, size_t size) {
    return or_abort(realloc(ptr, size ? size : 1), size ? size : 1);
}

char *wp_strdup(const char *text) {
    return wp_strndup(wp_str(text));
}

char *wp_strndup(struct wp_str text) {
    char *copy = wp_alloc(text.len + 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

char *wp_format(const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return or_abort(length < 0 ? NULL : text, 1);
}

void wp_buf_reset(struct wp_buf *buf) {
    wp_wipe(buf->data, buf->len);
    buf->len = 0;
}

void wp_buf_done(struct wp_buf *buf) {
    wp_buf_reset(buf);
    free(buf->data);
    *buf = (struct wp_buf){0};
}

/* realloc() would leave a copy where the bytes were. */
static void grow(struct wp_buf *buf, size_t cap) {
    char *larger = wp_alloc(cap);
    if (buf->data && buf->len > 0) memcpy(larger, buf->data, buf->len);
    wp_wipe(buf->data, buf->len);
    free(buf->data);
    buf->data = larger;
    buf->cap = cap;
}

char *wp_buf_reserve(struct wp_buf *buf, size_t extra) {
    wp_assert(extra <= SIZE_MAX / 4 && buf->len <= SIZE_MAX / 4);
    size_t needed = buf->len + extra;
    if (needed > buf->cap || !buf->data) {
        size_t cap = buf->cap ? buf->cap : FIRST_CAPACITY;
        while (cap < needed) cap *= 2;
        grow(buf, cap);
    }
    return buf->data + buf->len;
}

void wp_buf_add(struct wp_buf *buf, const void *bytes, size_t len) {
    if (len == 0) return;
    memcpy(wp_buf_reserve(buf, len), bytes, len);
    buf->len += len;
}

void wp_buf_add_str(struct wp_buf *buf, const char *text) {
    wp_buf_add(buf, text, strlen(text));
}

void wp_buf_printf(struct wp_buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char *at = wp_buf_reserve(buf, FIRST_CAPACITY);
    size_t room = buf->cap - buf->len;
    int length = vsnprintf(at, room, format, args);
    va_end(args);
    wp_assert(length >= 0);
    if ((size_t)length >= room) {
        at = wp_buf_reserve(buf, (size_t)length + 1);
        vsnprintf(at, (size_t)length + 1, format, again);
    }
    va_end(again);
    buf->len += (size_t)length;
}
