/* wp_pool_stats answers in pages of pools (redis/README.md); this puts them together again. Pure. */
#ifndef WP_POOL_POOL_PAGES_H
#define WP_POOL_POOL_PAGES_H
#include <jansson.h>
#include "core/str.h"

/* Where the page after this one begins: the first argument of the next call. Borrowed from the page; empty:
 * it was the last. */
struct wp_str wp_pool_pages_next(const json_t *page);
/* Takes the page. *all is NULL before the first one, and has the form of a single answer after the last. */
void wp_pool_pages_add(json_t **all, json_t *page);

#endif
