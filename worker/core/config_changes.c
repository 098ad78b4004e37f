/* Compares, copies and exchanges configurations, parameter by parameter of the table. No state; any thread.
 */
#include "core/config_changes.h"
#include <stdlib.h>
#include <string.h>
#include "core/config_table.h"

static size_t field_size(const struct wp_param *param) {
    switch (param->type) {
    case WP_PARAM_TEXT:
    case WP_PARAM_NAME:
    case WP_PARAM_WORD:
        return sizeof(char *);
    case WP_PARAM_CHOICE:
    case WP_PARAM_SET:
        return sizeof(unsigned);
    case WP_PARAM_INT:
        return sizeof(int64_t);
    case WP_PARAM_NUMBER:
        return sizeof(double);
    case WP_PARAM_FLAG:
        return sizeof(bool);
    default:
        return sizeof(struct wp_settings);
    }
}

/* ---- copies ---- */

static void copy_settings(struct wp_settings *ret, const struct wp_settings *from) {
    *ret = (struct wp_settings){0};
    for (size_t i = 0; i < from->count; i++) wp_settings_set(ret, from->list[i].key, from->list[i].value);
}

void wp_config_copy(struct wp_config *ret, const struct wp_config *from) {
    memset(ret, 0, sizeof(*ret));
    for (const struct wp_param *param = wp_params; param->key; param++) {
        void *into = wp_param_field(ret, param);
        const void *field = wp_param_field(from, param);
        size_t size = field_size(param);
        if (size == sizeof(struct wp_settings))
            copy_settings(into, field);
        else if (param->type == WP_PARAM_TEXT || param->type == WP_PARAM_NAME || param->type == WP_PARAM_WORD)
            *(char **)into = wp_strdup(*(char *const *)field);
        else
            memcpy(into, field, size);
    }
}

void wp_config_exchange(struct wp_config *config, struct wp_config *other) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        char kept[sizeof(struct wp_settings)];
        void *one = wp_param_field(config, param), *two = wp_param_field(other, param);
        size_t size = field_size(param);
        if (wp_param_applies(param) == WP_APPLIES_AT_RESTART) continue;
        memcpy(kept, one, size);
        memcpy(one, two, size);
        memcpy(two, kept, size);
    }
}

/* ---- differences ---- */

static char *shown(const char *key, const char *value) {
    struct wp_buf text = {0};
    if (!value) return NULL;
    wp_param_mask(&text, key, value);
    wp_buf_add(&text, "", 1);
    return text.data;
}

/* Takes key. before, after: NULL where a family has no such key. */
static void add_change(struct wp_config_changes *ret, const struct wp_param *param, char *key,
                       const char *before, const char *after) {
    ret->list = wp_realloc(ret->list, (ret->count + 1) * sizeof(*ret->list));
    struct wp_config_change *change = &ret->list[ret->count++];
    *change = (struct wp_config_change){.key = key,
                                        .before = shown(key, before),
                                        .after = shown(key, after),
                                        .applies = wp_param_applies(param)};
    ret->waiting += change->applies == WP_APPLIES_AT_RESTART;
}

static void compare_member(struct wp_config_changes *ret, const struct wp_param *param, const char *member,
                           const char *before, const char *after) {
    if (before && after && strcmp(before, after) == 0) return;
    add_change(ret, param, wp_format("%.*s%s", (int)wp_param_prefix(param), param->key, member), before,
               after);
}

static void compare_family(struct wp_config_changes *ret, const struct wp_param *param,
                           const struct wp_settings *before, const struct wp_settings *after) {
    for (size_t i = 0; i < before->count; i++)
        compare_member(ret, param, before->list[i].key, before->list[i].value,
                       wp_settings_get(after, before->list[i].key));
    for (size_t i = 0; i < after->count; i++)
        if (!wp_settings_get(before, after->list[i].key))
            compare_member(ret, param, after->list[i].key, NULL, after->list[i].value);
}

static char *value_of(const struct wp_config *config, const struct wp_param *param) {
    struct wp_buf text = {0};
    wp_param_format(config, param, &text);
    wp_buf_add(&text, "", 1);
    return text.data;
}

static void visit_one(const char *key, const char *value,
                      void (*visit)(void *ctx, const char *key, const char *value), void *ctx) {
    char *text = shown(key, value);
    visit(ctx, key, text);
    free(text);
}

void wp_config_each(const struct wp_config *config,
                    void (*visit)(void *ctx, const char *key, const char *value), void *ctx) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (!wp_param_is_family(param)) {
            char *value = value_of(config, param);
            visit_one(param->key, value, visit, ctx);
            free(value);
            continue;
        }
        const struct wp_settings *family = wp_param_field(config, param);
        for (size_t i = 0; i < family->count; i++) {
            char *key = wp_format("%.*s%s", (int)wp_param_prefix(param), param->key, family->list[i].key);
            visit_one(key, family->list[i].value, visit, ctx);
            free(key);
        }
    }
}

static void compare_single(struct wp_config_changes *ret, const struct wp_param *param,
                           const struct wp_config *before, const struct wp_config *after) {
    char *old = value_of(before, param), *new = value_of(after, param);
    if (strcmp(old, new) != 0) add_change(ret, param, wp_strdup(param->key), old, new);
    free(old);
    free(new);
}

void wp_config_compare(const struct wp_config *before, const struct wp_config *after,
                       struct wp_config_changes *ret) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (wp_param_is_family(param))
            compare_family(ret, param, wp_param_field(before, param), wp_param_field(after, param));
        else
            compare_single(ret, param, before, after);
    }
}

void wp_config_changes_done(struct wp_config_changes *changes) {
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->list[i].key);
        free(changes->list[i].before);
        free(changes->list[i].after);
    }
    free(changes->list);
    *changes = (struct wp_config_changes){0};
}
