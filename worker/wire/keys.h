/* The keys of one object, to find one that is there twice. */
#ifndef WP_WIRE_KEYS_H
#define WP_WIRE_KEYS_H
#include "core/buf.h"

struct key {
    struct wp_str name; /* borrowed */
    size_t at;          /* where it stands: an offset, or a number */
};

struct keys { /* zero-initialised is empty */
    struct wp_buf list;
};

void keys_add(struct keys *keys, struct wp_str name, size_t at);
/* A key that was there before; NULL: there is none. Changes their order. */
const struct key *keys_repeated(struct keys *keys);
void keys_done(struct keys *keys);

#endif
