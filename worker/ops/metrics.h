/* The metrics record: every metrics.interval reads the shared figures, finds warnings, and publishes both
 * together with the worker's own figures. Internal to ops/. */
#ifndef WP_OPS_METRICS_H
#define WP_OPS_METRICS_H
#include "ops/snapshot.h"
#include "ops/tuning.h"

/* Borrows all. `warnings` is that of the snapshot; each round replaces its content. */
struct metrics *metrics_new(const struct ops_snapshot *snapshot, struct shared_reader *reader,
                            struct warnings *warnings, struct tuning *tuning);
void metrics_start(struct metrics *metrics);
void metrics_configure(struct metrics *metrics); /* the interval may have changed */
/* Publishes a last record with what is known. */
void metrics_stop(struct metrics *metrics);
void metrics_free(struct metrics *metrics); /* NULL is fine */

#endif
