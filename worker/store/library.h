/* The table of the Redis function libraries (redis/README.md): the embedded files of each, its slot, and its
 * revision and hash, by which a worker decides whether to replace the one that Redis has. Pure. */
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
/* The revision and the hash that the first lines of a library's text name (the text as FUNCTION LIST WITHCODE
 * returns it); 0 when they name none. */
int wp_library_revision_of(const char *text);
uint64_t wp_library_hash_of(const char *text);
/* True when `text` is to replace `other`: it has the higher revision, or the same one and the higher hash
 * (which two builds between releases can have). So all workers choose the same library. */
bool wp_library_is_newer(const char *text, const char *other);

#endif
