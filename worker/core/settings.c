/* A list of keys and values, both text. Knows nothing of the configuration. Belongs to one thread. */
#include "core/settings.h"
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"

static struct wp_setting *find_setting(const struct wp_settings *settings, const char *key) {
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->list[i].key, key) == 0) return &settings->list[i];
    }
    return NULL;
}

const char *wp_settings_get(const struct wp_settings *settings, const char *key) {
    const struct wp_setting *setting = find_setting(settings, key);
    return setting ? setting->value : NULL;
}

int64_t wp_settings_int(const struct wp_settings *settings, const char *key, int64_t default_value) {
    const char *value = wp_settings_get(settings, key);
    return value ? strtoll(value, NULL, 10) : default_value;
}

void wp_settings_set(struct wp_settings *settings, const char *key, const char *value) {
    struct wp_setting *setting = find_setting(settings, key);
    if (!setting) {
        settings->list = wp_realloc(settings->list, (settings->count + 1) * sizeof(*settings->list));
        setting = &settings->list[settings->count++];
        *setting = (struct wp_setting){.key = wp_strdup(key)};
    }
    char *copy = wp_strdup(value); /* before the free: value may be the old one */
    free(setting->value);
    setting->value = copy;
}

void wp_settings_done(struct wp_settings *settings) {
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->list[i].key);
        free(settings->list[i].value);
    }
    free(settings->list);
    *settings = (struct wp_settings){0};
}
