/* Compares by what a worker shows of its configuration (GET /config): see check_diff.h. No state. */
#include "cli/check_diff.h"
#include <string.h>
#include "cli/worker_http.h"

struct diff {
    json_t *running; /* key -> value; what the command has, too, is taken out */
    FILE *out;
    size_t count;
};

static const char *shown(const char *value) {
    return !value ? "none" : *value ? value : "(empty)";
}

static void print(struct diff *diff, const char *key, const char *runs, const char *here) {
    diff->count++;
    fprintf(diff->out, "%s: the worker has %s, this configuration %s (%s)\n", key, shown(runs), shown(here),
            wp_applies_word(wp_config_applies(key)));
}

static void compare(void *ctx, const char *key, const char *value) {
    struct diff *diff = ctx;
    const char *runs = json_string_value(json_object_get(diff->running, key));
    if (!runs || strcmp(runs, value) != 0) print(diff, key, runs, value);
    json_object_del(diff->running, key);
}

enum wp_err wp_check_diff(const struct wp_config *config, FILE *out, size_t *ret_count,
                          struct wp_error *error) {
    json_t *answer, *value;
    const char *key;
    if (!wp_worker_http_is_known(config))
        return wp_fail(
            error, WP_ERR_CONFIG,
            "http.listen = \"%s\" names no port at which a worker could be asked; give its port, -o "
            "http.listen=127.0.0.1:PORT",
            config->http.listen);
    enum wp_err err = wp_worker_http(config, "GET", "/config", &answer, error);
    if (err) return err;
    struct diff diff = {.running = json_object_get(answer, "config"), .out = out};
    wp_config_each(config, compare, &diff);
    json_object_foreach(diff.running, key, value) print(&diff, key, json_string_value(value), NULL);
    *ret_count = diff.count;
    json_decref(answer);
    return WP_OK;
}
