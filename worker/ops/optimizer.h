/* The memory optimizer: every memory.interval it sweeps ended objects from both slots, has idle containers
 * beyond their pool's size destroyed, and returns free heap to the system. Internal to ops/. */
#ifndef WP_OPS_OPTIMIZER_H
#define WP_OPS_OPTIMIZER_H
#include "ops/base.h"

struct optimizer_result { /* of the last round */
    bool enabled;         /* memory.enabled */
    int64_t objects_collected;
    double memory_before_mb, memory_after_mb, memory_released_mb; /* resident MiB, 2 places; released >= 0 */
};

struct optimizer *optimizer_new(const struct ops_base *base);
void optimizer_configure(struct optimizer *optimizer); /* memory.* may have changed */
/* Both are idempotent. With memory.enabled = false nothing is started. A round under way ends after a stop.
 */
void optimizer_start(struct optimizer *optimizer);
void optimizer_stop(struct optimizer *optimizer);
bool optimizer_running(const struct optimizer *optimizer);
const struct optimizer_result *optimizer_result(const struct optimizer *optimizer);
void optimizer_free(struct optimizer *optimizer); /* NULL is fine */

#endif
