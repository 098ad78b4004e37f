/* Makes a configuration of defaults, sets one value, frees the configuration. Belongs to one thread. */
#include <stdlib.h>
#include <string.h>
#include "core/config.h"
#include "core/config_table.h"

#define SHOWN_MAX 100 /* bytes of a value in an error */

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
    struct wp_buf shown = {0};
    wp_param_mask(&shown, key, value);
    wp_fail(error, WP_ERR_CONFIG, "configuration: %s = \"%.*s\": %s", key,
            (int)(shown.len < SHOWN_MAX ? shown.len : SHOWN_MAX), shown.data ? shown.data : "", inner.text);
    wp_buf_done(&shown);
    return WP_ERR_CONFIG;
}

static void set_preset(struct wp_config *config, const struct wp_param *param) {
    if (!wp_param_is_family(param)) {
        enum wp_err err = wp_param_set(config, param, NULL, param->default_value, NULL);
        wp_assert(err == WP_OK);
        return;
    }
    struct wp_settings *family = wp_param_field(config, param);
    for (const char *at = param->default_value; *at;) {
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

bool wp_config_cleans(const struct wp_config *config, const char *philosophy) {
    bool cleans = config->pool.clean;
    const char *own = wp_settings_get(&config->pool.clean_of, philosophy);
    if (own) (void)wp_param_parse_flag(own, &cleans); /* wp_config_check has looked at it */
    return cleans;
}

bool wp_config_cleans_any(const struct wp_config *config) {
    bool any = config->pool.clean;
    for (size_t i = 0; i < config->pool.clean_of.count; i++)
        any = any || wp_config_cleans(config, config->pool.clean_of.list[i].key);
    return any;
}

int64_t wp_config_max_containers(const struct wp_config *config, const char *philosophy) {
    return wp_settings_int(&config->pool.max_containers_of, philosophy, config->pool.max_containers);
}
