/* The Redis function libraries (redis/README.md): which embedded files make one, in which slot it lives, and
 * its revision and hash, by which a worker decides whether to replace the one that Redis has. Pure. */
#ifndef WP_STORE_LIBRARY_H
#define WP_STORE_LIBRARY_H
#include <stdint.h>
#include "core/buf.h"
#include "store/slot.h"

#define WP_LIBRARY_FILES 32

struct wp_library {
    const char *name;
    enum wp_slot slot;
    const char
        *files[WP_LIBRARY_FILES]; /* in this order; the last one names the revision; NULL ends the list */
};

/* The slot's libraries by number, from 0; NULL after the last. */
const struct wp_library *wp_library_of_slot(enum wp_slot slot, int number);
/* Appends the text that FUNCTION LOAD takes. A file that is not embedded is a bug. */
void wp_library_text(const struct wp_library *library, struct wp_buf *out);
/* The revision and the hash that a library's text names (such as `FUNCTION LIST WITHCODE` gives it); 0 when
 * it names none. */
int wp_library_revision_of(const char *text);
uint64_t wp_library_hash_of(const char *text);
/* Whether Redis is to have `text` rather than `other`: the higher revision, of the same one the higher hash
 * (two builds of one revision, which a release never has), so that all workers want the same. */
bool wp_library_is_newer(const char *text, const char *other);
uint64_t wp_library_hash(struct wp_str text);

#endif
