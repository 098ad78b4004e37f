/* Forgets a host. What a client can see changes by events alone, so this publishes a container-event and
 * looks in Redis for what became of it. */
#include "cli/hosts_forget.h"
#include <stdio.h>
#include <time.h>
#include "cli/hosts_read.h"
#include "cli/kafka.h"
#include "core/clock.h"
#include "registry/schemas.h"

enum { CONNECT_MS = 10000, DELIVERY_MS = 60000, LOOK_MS = 100 };

/* Redis counts a silence only while some worker calls it, so that its own absence is nobody's death. */
static enum wp_err alive(const char *name, const json_t *host, struct wp_error *error) {
    const char *worker = json_string_value(json_object_get(host, "worker"));
    double ago = json_number_value(json_object_get(host, "heartbeat_ms")) / 1000,
           ttl = json_number_value(json_object_get(host, "ttl_ms")) / 1000;
    return wp_fail(
        error, WP_ERR_DATA,
        "the host %s is not forgotten, because it is %s: %s%s, and its last heartbeat was %.1f s "
        "ago (it counts as silent after %.0f s%s",
        name, ago > ttl ? "not known to be dead" : "alive",
        worker ? "its worker is " : "a worker drove it until just now", worker ? worker : "", ago, ttl,
        ago > ttl ? " in which some worker runs); when that worker has ended, start another one, and "
                    "try again after that time"
                  : "); stop that worker first");
}

static enum wp_err publish(const struct wp_config *config, const char *name, struct wp_error *error) {
    struct wp_container_event event = {.container_id = WP_STR("-"),
                                       .philosophy = WP_STR("-"),
                                       .host = wp_str(name),
                                       .state = WP_STR("host_down"),
                                       .detail = WP_STR("forget")};
    const enum wp_topic topic = WP_TOPIC_EVENT;
    struct wp_cli_producer producer = {0};
    struct wp_buf bytes = {0};
    struct wp_schemas schemas;
    enum wp_err err = wp_schemas_open(&schemas, config, 1u << topic, error);
    if (!err) err = wp_cli_producer_open(&producer, config, &topic, 1, CONNECT_MS, error);
    if (!err) {
        wp_wire_encode(schemas.wire, topic, &event, &bytes);
        err = wp_cli_producer_send(&producer, topic, wp_str(name), wp_buf_str(&bytes), error);
        if (!err) err = wp_cli_producer_flush(&producer, DELIVERY_MS, error);
    }
    wp_cli_producer_close(&producer);
    wp_schemas_close(&schemas);
    wp_buf_done(&bytes);
    return err;
}

/* WP_OK: Redis does not know the host any more. */
static enum wp_err wait_forgotten(redisContext *redis, const struct wp_config *config, const char *name,
                                  double timeout, struct wp_error *error) {
    int64_t end_us = wp_clock_us() + (int64_t)(timeout * 1e6);
    for (;;) {
        json_t *all = NULL;
        enum wp_err err = wp_hosts_read(&all, redis, config, error);
        if (err) return err;
        const json_t *host = json_object_get(json_object_get(all, "hosts"), name);
        bool over = !host;
        if (host && json_is_true(json_object_get(host, "alive"))) err = alive(name, host, error);
        json_decref(all);
        if (over || err) return err;
        if (wp_clock_us() >= end_us)
            return wp_fail(error, WP_ERR_SYSTEM,
                           "no worker has forgotten the host %s within %.0f s; it is asked for on "
                           "container-event, and done as soon as a worker runs (`warmpool hosts` shows it)",
                           name, timeout);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
}

static void tell(const char *name, const json_t *counts) {
    json_int_t leased = json_integer_value(json_object_get(counts, "leased")), all = 0;
    const char *state;
    json_t *count;
    json_object_foreach((json_t *)counts, state, count) all += json_integer_value(count);
    printf("the host %s is forgotten: leases lost: %lld, other containers not known any more: %lld. What "
           "still runs there is destroyed when the host comes back.\n",
           name, (long long)leased, (long long)(all - leased));
}

enum wp_err wp_host_forget(redisContext *redis, const struct wp_config *config, const char *name,
                           double timeout, struct wp_error *error) {
    json_t *all = NULL, *counts = NULL;
    enum wp_err err = wp_hosts_read(&all, redis, config, error);
    if (err) return err;
    const json_t *host = json_object_get(json_object_get(all, "hosts"), name);
    bool known = host != NULL;
    if (!known)
        printf("Redis does not know a host %s: there is nothing to forget\n", name);
    else if (json_is_true(json_object_get(host, "alive")))
        err = alive(name, host, error);
    json_decref(all);
    if (err || !known) return err;
    err = wp_host_count(&counts, redis, config, name, error);
    if (!err) err = publish(config, name, error);
    if (!err) err = wait_forgotten(redis, config, name, timeout, error);
    if (!err) tell(name, counts);
    json_decref(counts);
    return err;
}
