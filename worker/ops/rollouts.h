/* Logs when the outdated containers of a philosophy begin to be replaced, and when none is left. Internal to
 * ops/. */
#ifndef WP_OPS_ROLLOUTS_H
#define WP_OPS_ROLLOUTS_H
#include <jansson.h>

/* known: philosophies with outdated containers when this was called last; owned by the caller, NULL at first.
 * pool: the latest answer of wp_pool_stats, NULL when there is none. */
void rollouts_log(json_t **known, const json_t *pool);

#endif
