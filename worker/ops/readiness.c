/* Puts the reasons together that the parts of the worker have given. Pure. */
#include "ops/readiness.h"

void readiness_write(const struct wp_stats *stats, struct wp_buf *out) {
    const struct wp_health *parts[] = {&stats->kafka, &stats->redis, &stats->state};
    static const char *const names[] = {"kafka", "redis", "state"};
    if (*stats->name_in_use) wp_buf_printf(out, "name: %s\n", stats->name_in_use);
    for (size_t i = 0; i < 3; i++)
        if (!parts[i]->ready)
            wp_buf_printf(out, "%s: %s\n", names[i],
                          parts[i]->reason[0] ? parts[i]->reason : "not connected yet");
    if (*stats->registry_not_ready) wp_buf_printf(out, "registry: %s\n", stats->registry_not_ready);
    if (*stats->host_not_ready) wp_buf_printf(out, "host: %s\n", stats->host_not_ready);
}
