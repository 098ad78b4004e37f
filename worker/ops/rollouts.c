/* Compares the figures of pools with those of the round before. The loop's thread. */
#include "ops/rollouts.h"
#include "core/log.h"
#include "ops/figures.h"

void rollouts_log(json_t **known, const json_t *pool) {
    const json_t *pools = json_object_get(pool, "pools");
    const char *philosophy;
    json_t *each, *now = json_object();
    if (!pools) {
        json_decref(now);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)pools, philosophy, each) {
        int64_t outdated = count_of(each, "outdated");
        if (outdated == 0) continue;
        json_object_set_new(now, philosophy, json_integer(outdated));
        if (!json_object_get(*known, philosophy))
            wp_log(WP_LOG_INFO, "rollout_begun", "philosophy=%s outdated=%lld", philosophy,
                   (long long)outdated);
    }
    json_object_foreach(*known, philosophy, each) {
        if (!json_object_get(now, philosophy))
            wp_log(WP_LOG_INFO, "rollout_done", "philosophy=%s", philosophy);
    }
    json_decref(*known);
    *known = now;
}
