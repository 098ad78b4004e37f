/* The blocking codec: runs the registry's loop until an answer is there. */
#include "registry/schemas.h"
#include <stdlib.h>
#include "core/clock.h"

#define WAIT_US INT64_C(10000000)

struct search { /* for the ids to write with */
    bool over;
    struct wp_error *error;
    enum wp_err err;
};

static void on_ready(void *ctx) {
    ((struct search *)ctx)->over = true;
}

static void on_refused(void *ctx, const char *why) {
    struct search *search = ctx;
    search->over = true;
    search->err = wp_fail(search->error, WP_ERR_CONFIG, "%s", why);
}

static enum wp_err find_write_ids(struct wp_schemas *schemas, unsigned topics, struct wp_error *error) {
    static const struct wp_registry_handler handler = {.ready = on_ready, .refused = on_refused};
    struct search search = {.error = error};
    int64_t end_us = wp_clock_us() + WAIT_US;
    wp_registry_find_write_ids(schemas->registry, topics, &handler, &search);
    while (!search.over && wp_clock_us() < end_us) uv_run(&schemas->loop, UV_RUN_ONCE);
    if (search.over) return search.err;
    return wp_fail(error, WP_ERR_NOT_FOUND, "%s", schemas->stats->registry_not_ready);
}

enum wp_err wp_schemas_open(struct wp_schemas *schemas, const struct wp_config *config, unsigned topics,
                            struct wp_error *error) {
    *schemas = (struct wp_schemas){0};
    enum wp_err err = wp_wire_new(&schemas->wire, config, error);
    if (err || !config->wire.registry.url[0]) return err;
    if (uv_loop_init(&schemas->loop))
        return wp_fail(error, WP_ERR_SYSTEM, "no event loop: too many open files");
    schemas->stats = wp_calloc(1, sizeof *schemas->stats);
    schemas->registry = wp_registry_new(&schemas->loop, config, schemas->stats, schemas->wire);
    return find_write_ids(schemas, topics, error);
}

enum wp_err wp_schemas_decode(struct wp_schemas *schemas, enum wp_topic topic, struct wp_str bytes,
                              struct wp_buf *out_json, struct wp_error *error) {
    int64_t end_us = wp_clock_us() + WAIT_US;
    bool turned = false;
    enum wp_err err;
    while ((err = wp_wire_decode_json(schemas->wire, topic, bytes, out_json, error)) == WP_ERR_AGAIN) {
        if (turned && (*schemas->stats->registry_away || wp_clock_us() >= end_us))
            return wp_fail(error, WP_ERR_DATA, "%s, without success: %s", error->text,
                           schemas->stats->registry_away);
        uv_run(&schemas->loop, UV_RUN_ONCE);
        turned = true;
    }
    return err;
}

unsigned wp_schemas_of_worker(void) {
    unsigned topics = 1u << WP_TOPIC_CACHE | 1u << WP_TOPIC_CONTROL | 1u << WP_TOPIC_EVENT;
    for (int topic = WP_TOPICS_IN; topic < WP_TOPIC_DEAD_LETTER; topic++) topics |= 1u << topic;
    return topics;
}

void wp_schemas_close(struct wp_schemas *schemas) {
    if (schemas->registry) {
        wp_registry_free(schemas->registry);
        uv_run(&schemas->loop, UV_RUN_DEFAULT);
        uv_loop_close(&schemas->loop);
    }
    wp_wire_free(schemas->wire);
    free(schemas->stats);
    *schemas = (struct wp_schemas){0};
}
