/* The containers of the hosts in host.replaces: for one host after the other the runtime's list, the question
 * to Redis which of them nobody needs, and their removal. What is not removed now is found again at the next
 * reconcile. */
#include "host/replaced.h"
#include <stdlib.h>
#include <string.h>
#include "core/log.h"
#include "host/claims.h"

/* The first name of a list with commas, without blanks. Returns what follows it; NULL: there is none. */
static const char *first_name(const char *list, struct wp_str *ret) {
    list += strspn(list, ", ");
    if (!*list) return NULL;
    *ret = (struct wp_str){list, strcspn(list, ", ")};
    return list + ret->len;
}

enum wp_err wp_replaced_check(const struct wp_config *config, const struct wp_runtime_driver *driver,
                              struct wp_error *error) {
    struct wp_str name;
    const char *list = config->host.replaces;
    if (!driver->left && first_name(list, &name))
        return wp_fail(error, WP_ERR_CONFIG,
                       "host.replaces: containers of host.runtime = %s end with their worker; leave it empty",
                       driver->name);
    while ((list = first_name(list, &name))) {
        if (!wp_str_is_name(name))
            return wp_fail(
                error, WP_ERR_CONFIG,
                "host.replaces: %.*s is no name of a host, which has up to 64 characters of A-Z a-z "
                "0-9 _ . -",
                (int)name.len, name.ptr);
        if (wp_str_is(name, config->host.name))
            return wp_fail(error, WP_ERR_CONFIG,
                           "host.replaces: %s is this host itself; name those that never return",
                           config->host.name);
    }
    return WP_OK;
}

static void look_at_next(struct host_replaced *replaced);
static void look_at(struct host_replaced *replaced);

static void free_ids(struct host_replaced *replaced) {
    for (int i = 0; i < replaced->count; i++) free(replaced->ids[i]);
    replaced->count = 0;
}

/* The containers of one list are done with. */
static void go_on(struct host_replaced *replaced) {
    bool again = replaced->full && replaced->removed > 0 && !replaced->stopped;
    free_ids(replaced);
    if (again)
        look_at(replaced);
    else
        look_at_next(replaced);
}

static void remove_next(struct host_replaced *replaced);

static void on_removed(void *ctx, bool ok) {
    struct host_replaced *replaced = ctx;
    const char *id = replaced->ids[--replaced->removing];
    if (ok) {
        char *root = wp_claims_root(replaced->table->config, true),
             *claims = wp_claims_folder(root, replaced->name);
        wp_claims_remove(claims, id);
        free(root);
        free(claims);
        replaced->removed++;
        wp_log(WP_LOG_INFO, "replaced_removed", "container=%s host=%s", id, replaced->name);
    }
    remove_next(replaced);
}

/* Removes one at a time: the engine has other things to do. */
static void remove_next(struct host_replaced *replaced) {
    const struct held_table *table = replaced->table;
    if (replaced->removing > 0 && !replaced->stopped)
        table->driver->remove_left(table->runtime, wp_str(replaced->ids[replaced->removing - 1]), on_removed,
                                   replaced);
    else
        go_on(replaced);
}

/* Keeps of the list those that Redis has named. */
static void keep_named(struct host_replaced *replaced, const redisReply *reply) {
    int kept = 0;
    for (int i = 0; i < replaced->count; i++) {
        bool named = false;
        for (size_t k = 0; k < reply->elements; k++)
            named = named || strcmp(reply->element[k]->str, replaced->ids[i]) == 0;
        char *id = replaced->ids[i];
        if (named)
            replaced->ids[kept++] = id;
        else
            free(id);
    }
    replaced->count = kept;
}

static void on_answer(void *ctx, const redisReply *reply, const char *error) {
    struct host_replaced *replaced = ctx;
    bool ok = reply && reply->type == REDIS_REPLY_ARRAY;
    if (!ok)
        wp_log(WP_LOG_WARN, "host_read_failed", "function=left reason=%s",
               reply && reply->type == REDIS_REPLY_ERROR ? reply->str : error);
    if (ok)
        keep_named(replaced, reply);
    else
        free_ids(replaced);
    replaced->removing = replaced->count;
    remove_next(replaced);
    wp_host_unpin(replaced->pins);
}

static void on_left(void *ctx, struct wp_str id) {
    struct host_replaced *replaced = ctx;
    replaced->full = replaced->count == WP_REPLACED_AT_ONCE;
    if (!replaced->full) replaced->ids[replaced->count++] = wp_strndup(id);
}

static void on_list_end(void *ctx, bool ok) {
    struct host_replaced *replaced = ctx;
    struct wp_str args[1 + WP_REPLACED_AT_ONCE] = {wp_str(replaced->name)};
    for (int i = 0; i < replaced->count; i++) args[1 + i] = wp_str(replaced->ids[i]);
    bool asked =
        ok && replaced->count > 0 && !replaced->stopped && wp_link_ready(replaced->link) &&
        wp_link_call(replaced->link, "left", args, 1 + (size_t)replaced->count, on_answer, replaced) == WP_OK;
    if (asked)
        wp_host_pin(replaced->pins);
    else
        go_on(replaced);
}

static void look_at(struct host_replaced *replaced) {
    const struct held_table *table = replaced->table;
    replaced->full = false;
    replaced->removed = 0;
    table->driver->left(table->runtime, replaced->name, on_left, on_list_end, replaced);
}

static void look_at_next(struct host_replaced *replaced) {
    struct wp_str name;
    replaced->rest = replaced->stopped ? NULL : first_name(replaced->rest, &name);
    replaced->running = replaced->rest != NULL;
    if (!replaced->running) return;
    snprintf(replaced->name, sizeof replaced->name, "%.*s", (int)name.len, name.ptr);
    look_at(replaced);
}

void wp_replaced_look(struct host_replaced *replaced) {
    if (replaced->running || replaced->stopped) return;
    replaced->rest = replaced->table->config->host.replaces;
    look_at_next(replaced);
}

void wp_replaced_stop(struct host_replaced *replaced) {
    replaced->stopped = true;
}
