/* The configuration's life: defaults, one value set, families of open keys, release. Belongs to one thread.
 */
#include "core/config.h"
#include <stdlib.h>
#include "core/config_table.h"

/* ---- families ---- */

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

int64_t wp_settings_int(const struct wp_settings *settings, const char *key, int64_t preset) {
    const char *value = wp_settings_get(settings, key);
    return value ? strtoll(value, NULL, 10) : preset;
}

int64_t wp_config_max_containers(const struct wp_config *config, const char *philosophy) {
    return wp_settings_int(&config->pool.max_containers_of, philosophy, config->pool.max_containers);
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

/* ---- finding a parameter ---- */

bool wp_param_is_family(const struct wp_param *param) {
    return param->type == WP_PARAM_TEXTS || param->type == WP_PARAM_INTS;
}

size_t wp_param_prefix(const struct wp_param *param) {
    return (size_t)(strrchr(param->key, '.') - param->key) + 1;
}

const struct wp_param *wp_param_find(const char *key, const char **ret_member) {
    *ret_member = NULL;
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (!wp_param_is_family(param)) {
            if (strcmp(param->key, key) == 0) return param;
            continue;
        }
        size_t prefix = wp_param_prefix(param);
        if (strncmp(param->key, key, prefix) != 0 || !wp_str_is_name(wp_str(key + prefix))) continue;
        *ret_member = key + prefix;
        return param;
    }
    return NULL;
}

#define KEY_MAX 80

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, a row at a time. */
static size_t distance(const char *a, const char *b) {
    size_t row[KEY_MAX + 1];
    size_t length = strnlen(b, KEY_MAX);
    for (size_t j = 0; j <= length; j++) row[j] = j;
    for (size_t i = 0; a[i] && i < KEY_MAX; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t above = row[j + 1];
            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[length];
}

const struct wp_param *wp_param_nearest(const char *key) {
    const struct wp_param *nearest = wp_params;
    size_t least = KEY_MAX;
    for (const struct wp_param *param = wp_params; param->key; param++) {
        size_t found = distance(key, param->key);
        if (found >= least) continue;
        least = found;
        nearest = param;
    }
    return nearest;
}

/* ---- the configuration ---- */

enum wp_err wp_config_set(struct wp_config *config, const char *key, const char *value,
                          struct wp_error *error) {
    const char *member;
    const struct wp_param *param = wp_param_find(key, &member);
    if (!param) {
        return wp_fail(error, WP_ERR_CONFIG, "configuration: %.80s is not a known key; did you mean %s?", key,
                       wp_param_nearest(key)->key);
    }
    struct wp_error inner;
    if (wp_param_set(config, param, member, value, &inner) == WP_OK) return WP_OK;
    return wp_fail(error, WP_ERR_CONFIG, "configuration: %s = \"%.100s\": %s", key, value, inner.text);
}

static void set_preset(struct wp_config *config, const struct wp_param *param) {
    if (!wp_param_is_family(param)) {
        enum wp_err err = wp_param_set(config, param, NULL, param->preset, NULL);
        wp_assert(err == WP_OK);
        return;
    }
    struct wp_settings *family = wp_param_field(config, param);
    for (const char *at = param->preset; *at;) {
        size_t len = strcspn(at, ","), equals = strcspn(at, "=");
        char *key = wp_strndup((struct wp_str){at, equals});
        char *value = wp_strndup((struct wp_str){at + equals + 1, len - equals - 1});
        wp_settings_set(family, key, value);
        free(key);
        free(value);
        at += len + (at[len] == ',');
    }
}

void wp_config_init(struct wp_config *config) {
    memset(config, 0, sizeof(*config));
    for (const struct wp_param *param = wp_params; param->key; param++) set_preset(config, param);
}

void wp_config_done(struct wp_config *config) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        void *field = wp_param_field(config, param);
        switch (param->type) {
        case WP_PARAM_TEXT:
        case WP_PARAM_NAME:
        case WP_PARAM_WORD:
            free(*(char **)field);
            break;
        case WP_PARAM_COUNTS:
        case WP_PARAM_TEXTS:
        case WP_PARAM_INTS:
            wp_settings_done(field);
            break;
        default:
            break;
        }
    }
    memset(config, 0, sizeof(*config));
}
