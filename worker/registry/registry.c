/* Owns the ids that are being looked up, and when each is asked for again. Calls the client for the requests,
 * wire/ with what was found, and subjects.c for the ids to write with. */
#include "registry/registry.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "core/clock.h"
#include "core/log.h"
#include "registry/client.h"
#include "registry/subjects.h"

#define SECOND_US INT64_C(1000000)
#define RETRY_MIN_US (SECOND_US / 5)
#define RETRY_MAX_US (10 * SECOND_US)
#define UNASKED_US (30 * SECOND_US) /* then nobody waits for the id any more */
#define REFUSED_US (10 * SECOND_US) /* an id that is unknown may be registered, a registry may be mended */
enum { REQUESTS_MAX = 8, WANTED_MAX = 256 };

struct wanted { /* an id that is being looked up */
    struct wp_registry *registry;
    uint32_t id;
    int64_t since_us, asked_us; /* first and last time that a message had it */
    int64_t due_us, retry_us;   /* the next request, and the pause after it */
    int64_t tries;              /* that were answered, but not with a schema */
    bool running;
    UT_hash_handle hh;
};

struct wp_registry {
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_wire *wire;
    struct registry_client *client;
    struct subjects *subjects;
    struct wanted *table;
    unsigned running;
    uv_timer_t timer; /* of the next request that is due */
};

static void pump(struct wp_registry *registry);

static void forget(struct wanted *wanted) {
    HASH_DEL(wanted->registry->table, wanted);
    free(wanted);
}

/* ---- answers ---- */

/* Says once that the registry went away, and once that it is back. */
static void note_health(struct wp_registry *registry, const struct registry_answer *answer) {
    char *away = registry->stats->registry_away;
    bool gone = answer->kind == REGISTRY_AWAY || answer->kind == REGISTRY_DENIED;
    if (gone && !*away)
        wp_log(WP_LOG_WARN, "registry_away", "reason=%s", answer->said);
    else if (!gone && *away)
        wp_log(WP_LOG_INFO, "registry_back", "was=%s", away);
    (void)snprintf(away, sizeof registry->stats->registry_away, "%s", gone ? answer->said : "");
}

static void refuse(struct wanted *wanted, const char *why, int64_t ttl_us) {
    struct wp_registry *registry = wanted->registry;
    registry->stats->registry_refused++;
    wp_log(WP_LOG_WARN, "schema_refused", "id=%" PRIu32 " reason=%s", wanted->id, why);
    wp_wire_refuse_id(registry->wire, wanted->id, why, ttl_us);
    forget(wanted);
}

static bool is_type(const json_t *json, const char *name) {
    const char *type = json_string_value(json_object_get(json, "schemaType"));
    return strcmp(type ? type : "AVRO", name) == 0;
}

/* A schema was found: wire/ takes it, or refuses it. */
static void learn(struct wanted *wanted, const json_t *json, struct wp_str text) {
    struct wp_registry *registry = wanted->registry;
    struct wp_error error = {0};
    enum wp_err err;
    if (!is_type(json, "AVRO") && !is_type(json, "JSON")) {
        char why[160];
        (void)snprintf(why, sizeof why,
                       "is of the type %.32s, which is not read here: write Avro or JSON Schema",
                       json_string_value(json_object_get(json, "schemaType")));
        refuse(wanted, why, 0);
        return;
    }
    if (is_type(json, "AVRO") && json_array_size(json_object_get(json, "references")) > 0) {
        refuse(wanted,
               "refers to other schemas, which is not supported: register it with all its types inside", 0);
        return;
    }
    err = is_type(json, "JSON") ? wp_wire_learn_json(registry->wire, wanted->id, &error)
                                : wp_wire_learn_avro(registry->wire, wanted->id, text, &error);
    if (err) {
        registry->stats->registry_refused++;
        wp_log(WP_LOG_WARN, "schema_refused", "id=%" PRIu32 " reason=%s", wanted->id, error.text);
    } else {
        wp_log(WP_LOG_INFO, "schema_learned", "id=%" PRIu32, wanted->id);
    }
    forget(wanted);
}

/* Gives up when the configured bounds are reached, else plans the next try. */
static void try_again(struct wanted *wanted, const char *said, bool away) {
    const struct wp_config *config = wanted->registry->config;
    int64_t now_us = wp_clock_us(), waited_ms = (now_us - wanted->since_us) / 1000;
    int64_t max_tries = config->wire.registry.max_tries, max_ms = config->wire.registry.max_wait_ms;
    char why[480];
    if (!away) wanted->tries++;
    bool tried = max_tries > 0 && wanted->tries >= max_tries, late = max_ms > 0 && waited_ms >= max_ms;
    if (tried || late) {
        (void)snprintf(why, sizeof why, "could not be read in %lld %s: %s",
                       (long long)(tried ? wanted->tries : waited_ms), tried ? "tries" : "ms", said);
        refuse(wanted, why, REFUSED_US);
        return;
    }
    wanted->due_us = now_us + wanted->retry_us;
    wanted->retry_us = wanted->retry_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : wanted->retry_us * 2;
    if (max_ms > 0 && wanted->due_us > wanted->since_us + max_ms * 1000)
        wanted->due_us = wanted->since_us + max_ms * 1000;
}

static void on_answer(void *ctx, const struct registry_answer *answer) {
    struct wanted *wanted = ctx;
    struct wp_registry *registry = wanted->registry;
    const json_t *text = answer->kind == REGISTRY_OK ? json_object_get(answer->json, "schema") : NULL;
    wanted->running = false;
    registry->running--;
    note_health(registry, answer);
    if (json_is_string(text)) {
        learn(wanted, answer->json, (struct wp_str){json_string_value(text), json_string_length(text)});
    } else if (answer->kind == REGISTRY_NOT_FOUND) {
        char *why = wp_format("is unknown: %s", answer->said);
        refuse(wanted, why, REFUSED_US);
        free(why);
    } else {
        try_again(wanted,
                  answer->kind == REGISTRY_OK ? "the schema registry answered without a schema"
                                              : answer->said,
                  answer->kind == REGISTRY_AWAY || answer->kind == REGISTRY_DENIED);
    }
    registry->stats->registry_schemas = wp_wire_learned(registry->wire);
    pump(registry);
}

/* ---- questions ---- */

static void ask(struct wanted *wanted) {
    char path[48];
    (void)snprintf(path, sizeof path, "/schemas/ids/%" PRIu32, wanted->id);
    wanted->running = true;
    wanted->registry->running++;
    registry_client_call(wanted->registry->client, path, NULL, on_answer, wanted);
}

static void on_timer(uv_timer_t *timer) {
    pump(timer->data);
}

/* Asks what is due, and drops what nobody waits for any more. */
static void pump(struct wp_registry *registry) {
    struct wanted *wanted, *next;
    int64_t now_us = wp_clock_us(), next_us = INT64_MAX;
    HASH_ITER(hh, registry->table, wanted, next) {
        if (wanted->running) continue;
        if (wanted->asked_us + UNASKED_US < now_us) {
            forget(wanted);
            continue;
        }
        if (wanted->due_us > now_us)
            next_us = wanted->due_us < next_us ? wanted->due_us : next_us;
        else if (registry->running < REQUESTS_MAX) /* else when one of those is answered */
            ask(wanted);
    }
    if (!registry->table) registry->stats->registry_away[0] = '\0'; /* nobody waits for it */
    if (next_us < INT64_MAX)
        uv_timer_start(&registry->timer, on_timer, (uint64_t)(next_us - now_us) / 1000 + 1, 0);
}

static void want(void *ctx, uint32_t id) {
    struct wp_registry *registry = ctx;
    struct wanted *wanted;
    int64_t now_us = wp_clock_us();
    HASH_FIND(hh, registry->table, &id, sizeof id, wanted);
    if (wanted) {
        wanted->asked_us = now_us;
        return;
    }
    if (HASH_COUNT(registry->table) >= WANTED_MAX)
        return; /* it is asked for again while others are answered */
    wanted = wp_calloc(1, sizeof *wanted);
    *wanted = (struct wanted){.registry = registry,
                              .id = id,
                              .since_us = now_us,
                              .asked_us = now_us,
                              .due_us = now_us,
                              .retry_us = RETRY_MIN_US};
    HASH_ADD(hh, registry->table, id, sizeof id, wanted);
    pump(registry);
}

bool wp_registry_is_asking(const struct wp_registry *registry) {
    return registry->table != NULL;
}

void wp_registry_find_write_ids(struct wp_registry *registry, unsigned topics,
                                const struct wp_registry_handler *handler, void *ctx) {
    subjects_find(registry->subjects, topics, handler, ctx);
}

/* ---- life ---- */

struct wp_registry *wp_registry_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                                    struct wp_wire *wire) {
    struct wp_registry *registry = wp_calloc(1, sizeof *registry);
    *registry = (struct wp_registry){.config = config, .stats = stats, .wire = wire};
    registry->client = registry_client_new(loop, config, stats);
    registry->subjects = subjects_new(loop, config, stats, wire, registry->client);
    uv_timer_init(loop, &registry->timer);
    registry->timer.data = registry;
    wp_wire_ask_ids(wire, want, registry);
    return registry;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void wp_registry_free(struct wp_registry *registry) {
    if (!registry) return;
    wp_wire_ask_ids(registry->wire, NULL, NULL);
    registry_client_free(registry->client);
    subjects_free(registry->subjects);
    struct wanted *wanted = registry->table, *next;
    HASH_CLEAR(hh, registry->table); /* the entries and their next pointers stay */
    for (; wanted; wanted = next) {
        next = wanted->hh.next;
        free(wanted);
    }
    uv_close((uv_handle_t *)&registry->timer, on_closed);
}
