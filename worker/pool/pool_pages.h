/* Joins the pages of pools in which wp_pool_stats answers (redis/README.md). Pure. */
#ifndef WP_POOL_POOL_PAGES_H
#define WP_POOL_POOL_PAGES_H
#include <jansson.h>
#include "core/str.h"

/* The first argument of the call for the next page. Borrowed from the page; empty: it was the last one. */
struct wp_str wp_pool_pages_next(const json_t *page);
/* Adds a page to *all and takes it. *all is NULL before the first page; after the last one it looks like a
 * single answer. */
void wp_pool_pages_add(json_t **all, json_t *page);

#endif
