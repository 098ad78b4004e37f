/* A growable byte buffer, wiped when it is emptied or freed (core/secret.h). Zero-initialised is valid and
 * empty. Allocation failure aborts the process: a worker without memory is restarted by its supervisor and
 * loses no event (docs/reliability.md). */
#ifndef WP_CORE_BUF_H
#define WP_CORE_BUF_H
#include "core/err.h"
#include "core/str.h"

struct wp_buf {
    char *data; /* owned */
    size_t len, cap;
};

void wp_buf_done(struct wp_buf *buf);
void wp_buf_reset(struct wp_buf *buf); /* empties it */
/* Makes room for `extra` more bytes and returns where to write them; the caller adds to len. */
char *wp_buf_reserve(struct wp_buf *buf, size_t extra);
void wp_buf_add(struct wp_buf *buf, const void *bytes, size_t len);
void wp_buf_add_str(struct wp_buf *buf, const char *text);
void wp_buf_printf(struct wp_buf *buf, const char *format, ...) WP_PRINTF(2, 3);
static inline struct wp_str wp_buf_str(const struct wp_buf *buf) {
    return (struct wp_str){buf->data, buf->len};
}

/* malloc, calloc, strdup and friends that abort instead of returning NULL. */
void *wp_alloc(size_t size);
void *wp_calloc(size_t count, size_t size);
void *wp_realloc(void *ptr, size_t size);
char *wp_strdup(const char *text);
char *wp_strndup(struct wp_str text);                     /* NUL-terminated copy, owned by the caller */
char *wp_format(const char *format, ...) WP_PRINTF(1, 2); /* owned by the caller */

#endif
