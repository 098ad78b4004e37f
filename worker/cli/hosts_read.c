/* Reads wp_hosts, and all pages of wp_host. */
#include "cli/hosts_read.h"

enum wp_err wp_hosts_read(json_t **ret, redisContext *redis, const struct wp_config *config,
                          struct wp_error *error) {
    return wp_redis_read(ret, redis, config, WP_SLOT_POOL, "hosts", NULL, 0, error);
}

/* Appends a page's containers to *all. Returns where the next page begins, borrowed from the page; NULL: this
 * was the last. */
static const char *take_page(json_t *all, const json_t *page) {
    json_array_extend(all, json_object_get(page, "containers"));
    return json_string_value(json_object_get(page, "next"));
}

enum wp_err wp_host_containers(json_t **ret, redisContext *redis, const struct wp_config *config,
                               const char *name, struct wp_error *error) {
    json_t *all = json_array(), *page = NULL;
    const char *after = "";
    enum wp_err err;
    do {
        json_t *before = page; /* has `after` */
        const struct wp_str args[] = {wp_str(name), wp_str(after)};
        err = wp_redis_read(&page, redis, config, WP_SLOT_POOL, "host", args, 2, error);
        json_decref(before);
        after = err ? NULL : take_page(all, page);
    } while (after);
    if (err)
        json_decref(all);
    else
        json_decref(page);
    if (!err) *ret = all;
    return err;
}

enum wp_err wp_host_count(json_t **ret, redisContext *redis, const struct wp_config *config, const char *name,
                          struct wp_error *error) {
    json_t *containers, *container;
    size_t i;
    enum wp_err err = wp_host_containers(&containers, redis, config, name, error);
    if (err) return err;
    *ret = json_object();
    json_array_foreach(containers, i, container) {
        const char *state = json_string_value(json_object_get(container, "state"));
        json_int_t count = json_integer_value(json_object_get(*ret, state));
        json_object_set_new(*ret, state, json_integer(count + 1));
    }
    json_decref(containers);
    return WP_OK;
}
