/* Reads all sources of a configuration in their order: see config_sources.h. Owns the list of overrides. */
#include "core/config_sources.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void wp_config_sources_override(struct wp_config_sources *sources, const char *text) {
    size_t size = (sources->override_count + 1) * sizeof(*sources->overrides);
    sources->overrides = wp_realloc(sources->overrides, size);
    sources->overrides[sources->override_count++] = text;
}

static enum wp_err apply_override(struct wp_config *config, const char *text, struct wp_error *error) {
    const char *equals = strchr(text, '=');
    if (!equals) {
        return wp_fail(error, WP_ERR_CONFIG, "configuration: -o %.100s: section.key=value is wanted", text);
    }
    char *key = wp_strndup((struct wp_str){text, (size_t)(equals - text)});
    struct wp_error inner;
    enum wp_err err = wp_config_set(config, key, equals + 1, &inner);
    free(key);
    if (err != WP_OK) wp_fail(error, err, "%s (option -o)", inner.text);
    return err;
}

enum wp_err wp_config_sources_load(const struct wp_config_sources *sources, struct wp_config *ret,
                                   struct wp_error *error) {
    enum wp_err err = WP_OK;
    wp_config_init(ret);
    if (sources->file) err = wp_config_load_file(ret, sources->file, error);
    if (err == WP_OK) err = wp_config_load_environment(ret, environ, error);
    for (size_t i = 0; err == WP_OK && i < sources->override_count; i++)
        err = apply_override(ret, sources->overrides[i], error);
    if (err == WP_OK) err = wp_config_check(ret, error);
    if (err != WP_OK) wp_config_done(ret);
    return err;
}

void wp_config_sources_done(struct wp_config_sources *sources) {
    free(sources->overrides);
    *sources = (struct wp_config_sources){0};
}
