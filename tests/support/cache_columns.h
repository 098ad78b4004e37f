/* Batches of cache events as columns, and columns of answers as records, by the product's own code: so that
 * tests say and read rows (redis/README.md). Internal to columns.c. */
#ifndef TEST_SUPPORT_CACHE_COLUMNS_H
#define TEST_SUPPORT_CACHE_COLUMNS_H
#include "support/calls.h"

/* The batch that the function takes, from rows. */
void cache_columns_pack(struct wp_buf *out, const struct test_events *events);
/* Adds what a chunk's columns say, as records of kind 3 with their offset first. reply: the chunk, or an
 * array of it and its values. */
void cache_columns_read(json_t *records, const redisReply *reply, const struct test_events *events);

#endif
