/* Memory that may hold a claim: wiped before it is given back. Claims are in the records that a worker reads,
 * in what is made of them for Redis, and in Redis' answers to hosts; so all buffers for these are wiped,
 * whatever they hold. Any thread. */
#ifndef WP_CORE_SECRET_H
#define WP_CORE_SECRET_H
#include <stddef.h>

void wp_wipe(void *bytes, size_t len);
/* free() that wipes the whole block. NULL is fine. */
void wp_free_wiped(void *block);
/* realloc() that leaves no copy where the block was; NULL when there is no memory. */
void *wp_realloc_wiped(void *block, size_t size);

#endif
