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
    {"log.level", WP_APPLIES_AT_ONCE},
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

const char *wp_applies_word(enum wp_applies applies) {
    static const char *const words[] = {[WP_APPLIES_AT_RESTART] = "restart",
                                        [WP_APPLIES_AT_ONCE] = "at once",
                                        [WP_APPLIES_TO_NEW] = "new containers"};
    return words[applies];
}
