/* Batches as columns, and columns of answers as records, by the product's own code:
 * so that tests say and read rows (redis/README.md). Internal to calls.c. */
#ifndef TEST_SUPPORT_COLUMNS_H
#define TEST_SUPPORT_COLUMNS_H
#include "support/calls.h"

/* The batch that the function takes, from rows. */
void columns_pack(struct wp_buf *out, const char *function, const struct test_events *events);
/* Adds the records of a chunk to an array, each with its offset first; those of columns as rows are. reply:
 * the chunk, or an array of it and its values. */
void columns_read(json_t *records, const redisReply *reply, const struct test_events *events);

#endif
