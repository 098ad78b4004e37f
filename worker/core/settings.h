/* Keys with values, both text, in the order in which they were set: one open family of the configuration. */
#ifndef WP_CORE_SETTINGS_H
#define WP_CORE_SETTINGS_H
#include <stddef.h>
#include <stdint.h>

struct wp_setting { /* one of an open family: kafka.*, cache.ttl.NAMESPACE, pool.size.PHILOSOPHY */
    char *key;      /* without the family's prefix */
    char *value;
};
struct wp_settings {
    struct wp_setting *list;
    size_t count;
};

/* NULL when there is no such key; borrowed until the next set. */
const char *wp_settings_get(const struct wp_settings *settings, const char *key);
/* `default_value` when there is no such key. The value must be a whole number: it was checked when it was
 * set. */
int64_t wp_settings_int(const struct wp_settings *settings, const char *key, int64_t default_value);
/* Copies both; replaces the value of a key that is there. */
void wp_settings_set(struct wp_settings *settings, const char *key, const char *value);
void wp_settings_done(struct wp_settings *settings);

#endif
