/* The figures of the status page: those of the metrics record, and the rest of what `warmpool status` says.
 * Internal to ops/. */
#ifndef WP_OPS_PAGE_FIGURES_H
#define WP_OPS_PAGE_FIGURES_H
#include "core/buf.h"
#include "ops/snapshot.h"

#define PAGE_POOLS_MAX 100 /* those with the most to do */

/* Adds a JSON object to `out`, on one line:
 *   pools       [{name, ... as in the metrics record, waiting_seconds}], at most PAGE_POOLS_MAX
 *   pools_more  how many there are beside them
 *   total, cache, worker, warnings, targets   as in the metrics record
 *   hosts, tenants   as in wp_pool_stats (redis/README.md)
 *   tracked_agents
 *   ready, reasons   whether and why not, as /readyz says it: a list of texts
 *   time_ms, shared_ms   now, and when the shared figures were read; wall clock; 0: never */
void page_figures_write(const struct ops_snapshot *of, struct wp_buf *out);

#endif
