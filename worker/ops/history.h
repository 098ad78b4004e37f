/* The last hour of the figures that the status page draws: a ring of samples in memory, one every ten seconds
 * at most. Internal to ops/. */
#ifndef WP_OPS_HISTORY_H
#define WP_OPS_HISTORY_H
#include "core/buf.h"
#include "ops/snapshot.h"

#define HISTORY_SAMPLES 360 /* an hour, if metrics.interval is ten seconds or less: 35 KB in all */

/* Borrows the snapshot, and takes samples of it on its loop. */
struct history *history_new(const struct ops_snapshot *snapshot);
/* Takes a sample, unless the shared figures are still those of the last one. */
void history_take(struct history *history);
/* The number of the latest sample; they count from 1. 0: there is none. */
uint64_t history_latest(const struct history *history);
/* Adds a JSON array to `out` with what is kept of the samples after that number, oldest first. A sample is an
 * array of numbers in the order of history_columns. */
void history_write(const struct history *history, uint64_t after, struct wp_buf *out);
/* Adds the names of the numbers of a sample, a JSON array. */
void history_columns(struct wp_buf *out);
void history_free(struct history *history); /* NULL is fine */

#endif
