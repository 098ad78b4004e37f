/* When a changed value of a key applies to a worker that runs: see wp_param_applies. Constant: any thread. */
#include <string.h>
#include "core/config_table.h"

/* A key, or the beginning of several, which ends with a dot. The longest that fits counts; what is not listed
 * waits for a restart. A key is listed here only when all that reads it does so anew after a reload. */
static const struct {
    const char *keys;
    enum wp_applies applies;
} rules[] = {
    {"redis.timeout_ms", WP_APPLIES_AT_ONCE},
    {"redis.wait_replicas", WP_APPLIES_AT_ONCE},
    {"worker.batch", WP_APPLIES_AT_ONCE},
    {"worker.window_bytes", WP_APPLIES_AT_ONCE},
    {"worker.calls", WP_APPLIES_AT_ONCE},
    {"worker.sweep_interval_ms", WP_APPLIES_AT_ONCE},
    {"worker.stop_timeout_ms", WP_APPLIES_AT_ONCE},
    {"pool.", WP_APPLIES_AT_ONCE},
    {"pool.clean", WP_APPLIES_AT_RESTART}, /* what a container keeps is noted when it becomes ready */
    {"pool.clean.", WP_APPLIES_AT_RESTART},
    {"pool.cpu_percent", WP_APPLIES_TO_NEW},
    {"pool.cpu_percent.", WP_APPLIES_TO_NEW},
    {"pool.memory_mb", WP_APPLIES_TO_NEW},
    {"pool.memory_mb.", WP_APPLIES_TO_NEW},
    {"pool.min_cpu_percent", WP_APPLIES_TO_NEW},
    {"pool.max_cpu_percent", WP_APPLIES_TO_NEW},
    {"pool.min_memory_mb", WP_APPLIES_TO_NEW},
    {"pool.max_memory_mb", WP_APPLIES_TO_NEW},
    {"tenant.", WP_APPLIES_AT_ONCE},
    {"cache.", WP_APPLIES_AT_ONCE},
    {"predictor.", WP_APPLIES_AT_ONCE},
    {"agents.", WP_APPLIES_AT_ONCE},
    {"memory.", WP_APPLIES_AT_ONCE},
    {"metrics.", WP_APPLIES_AT_ONCE},
    {"tuning.", WP_APPLIES_AT_ONCE},
    {"host.capacity", WP_APPLIES_AT_ONCE},
    {"host.memory_mb", WP_APPLIES_AT_ONCE},
    {"host.on_exit", WP_APPLIES_AT_ONCE},
    {"host.keep_ms", WP_APPLIES_AT_ONCE},
    {"host.creates", WP_APPLIES_AT_ONCE},
    {"host.ttl_ms", WP_APPLIES_AT_ONCE},
    {"host.reconcile_interval", WP_APPLIES_AT_ONCE},
    {"process.", WP_APPLIES_TO_NEW},
    {"docker.", WP_APPLIES_TO_NEW},
    {"docker.url", WP_APPLIES_AT_RESTART},
    {"docker.tls_ca", WP_APPLIES_AT_RESTART},
    {"docker.tls_cert", WP_APPLIES_AT_RESTART},
    {"docker.tls_key", WP_APPLIES_AT_RESTART},
    {"docker.claims_volume", WP_APPLIES_AT_RESTART},
    {"docker.timeout_ms", WP_APPLIES_AT_ONCE},
    {"docker.pull", WP_APPLIES_AT_ONCE},
    {"docker.pull.", WP_APPLIES_AT_ONCE},
    {"docker.pull_interval", WP_APPLIES_AT_ONCE},
    {"docker.config", WP_APPLIES_AT_ONCE},
    {"docker.ready_timeout_ms", WP_APPLIES_AT_ONCE},
    {"docker.log_lines", WP_APPLIES_AT_ONCE},
    {"deadletter.", WP_APPLIES_AT_ONCE},
    {"trace.sample", WP_APPLIES_AT_ONCE},
    {"trace.interval_ms", WP_APPLIES_AT_ONCE},
    {"trace.batch", WP_APPLIES_AT_ONCE},
    {"trace.queue", WP_APPLIES_AT_ONCE},
    {"log.", WP_APPLIES_AT_ONCE},
};

enum wp_applies wp_param_applies(const struct wp_param *param) {
    enum wp_applies applies = WP_APPLIES_AT_RESTART;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        size_t length = strlen(rules[i].keys);
        bool begins = rules[i].keys[length - 1] == '.';
        bool fits =
            begins ? strncmp(param->key, rules[i].keys, length) == 0 : strcmp(param->key, rules[i].keys) == 0;
        if (!fits || length < longest) continue;
        longest = length;
        applies = rules[i].applies;
    }
    return applies;
}

enum wp_applies wp_config_applies(const char *key) {
    const char *member;
    const struct wp_param *param = wp_param_find(key, &member);
    return param ? wp_param_applies(param) : WP_APPLIES_AT_RESTART;
}

const char *wp_applies_word(enum wp_applies applies) {
    static const char *const words[] = {[WP_APPLIES_AT_RESTART] = "restart",
                                        [WP_APPLIES_AT_ONCE] = "at once",
                                        [WP_APPLIES_TO_NEW] = "new containers"};
    return words[applies];
}
