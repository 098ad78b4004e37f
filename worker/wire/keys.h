/* The keys of one object, to find a key that occurs twice. */
#ifndef WP_WIRE_KEYS_H
#define WP_WIRE_KEYS_H
#include "core/buf.h"

struct key {
    struct wp_str name; /* borrowed */
    size_t at;          /* offset or number of its place; orders equal keys */
};

struct keys { /* zero-initialised is empty */
    struct wp_buf list;
};

void keys_add(struct keys *keys, struct wp_str name, size_t at);
/* The second occurrence of a key; NULL when all differ. Changes the order of the list. */
const struct key *keys_repeated(struct keys *keys);
void keys_done(struct keys *keys);

#endif
