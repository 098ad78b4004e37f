/* Pre-warming: of the pools in pool.prewarm at start, and of pools that run low every pool.prewarm_interval.
 * Internal to ops/. */
#ifndef WP_OPS_PREWARM_H
#define WP_OPS_PREWARM_H
#include "ops/base.h"

struct prewarm *prewarm_new(const struct ops_base *base);
/* pool.* may have changed: what is named anew, or with more containers, is made ready as at the start. */
void prewarm_configure(struct prewarm *prewarm);
void prewarm_stop(struct prewarm *prewarm);
void prewarm_free(struct prewarm *prewarm); /* NULL is fine */

#endif
