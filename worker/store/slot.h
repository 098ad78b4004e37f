/* The state slots: all state in Redis that shares one hash tag, {pool} or {cache}. They may live on two
 * primaries. */
#ifndef WP_STORE_SLOT_H
#define WP_STORE_SLOT_H

enum wp_slot { WP_SLOT_POOL, WP_SLOT_CACHE, WP_SLOTS };

#endif
