/* Owns the table of requests of a recovery: what the records say of each. Calls wire/ to decode them and
 * pool/recover_calls.h for the rows. One thread. */
#include "pipeline/recover_requests.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "core/clock.h"
#include "pool/recover_calls.h"

enum { SWEEP_LEAST = 1000 };

struct request { /* times are those of records, in ms; 0: there was no such record */
    char *id;    /* owned */
    int64_t asked_ms, assigned_ms, released_ms;
    int64_t over_ms;                    /* rejected or lost */
    struct wp_buf acquire, acquire_key; /* the record's bytes; empty once the request has ended */
    struct wp_buf assignment, key;      /* as JSON, and the record's key; empty once the request has ended */
    UT_hash_handle hh;
};

struct recover_requests {
    const struct wp_config *config;
    struct wp_wire *wire;
    struct request *table; /* by id */
    unsigned sweep_at;     /* at this number of requests those that ended long ago are dropped */
    bool sorted;
};

struct recover_requests *recover_requests_new(const struct wp_config *config, struct wp_wire *wire) {
    struct recover_requests *requests = wp_calloc(1, sizeof *requests);
    *requests = (struct recover_requests){.config = config, .wire = wire, .sweep_at = SWEEP_LEAST};
    return requests;
}

/* Frees what only a request that has not ended needs. */
static void let_go(struct request *request) {
    wp_buf_done(&request->acquire);
    wp_buf_done(&request->acquire_key);
    wp_buf_done(&request->assignment);
    wp_buf_done(&request->key);
}

static void drop(struct recover_requests *requests, struct request *request) {
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the table goes with its last request only */
    HASH_DEL(requests->table, request);
    let_go(request);
    free(request->id);
    free(request);
}

void recover_requests_free(struct recover_requests *requests) {
    struct request *request, *next;
    if (!requests) return;
    HASH_ITER(hh, requests->table, request, next) drop(requests, request);
    free(requests);
}

size_t recover_requests_count(const struct recover_requests *requests) {
    return HASH_COUNT(requests->table);
}

/* --- reading records ------------------------------------------------------------------------------------
 */

static struct request *request_of(struct recover_requests *requests, const char *id) {
    struct request *request;
    HASH_FIND_STR(requests->table, id, request);
    if (request) return request;
    request = wp_calloc(1, sizeof *request);
    request->id = wp_strdup(id);
    HASH_ADD_KEYPTR(hh, requests->table, request->id, strlen(request->id), request);
    return request;
}

/* When the request ended, by its last answer or its release, ms; 0: it waits or has a container. A release of
 * a request that still waits does not count: it has not been handled yet. */
static int64_t ended_ms(const struct request *request) {
    int64_t over = request->over_ms >= request->assigned_ms ? request->over_ms : 0;
    int64_t released =
        request->assigned_ms && request->released_ms >= request->assigned_ms ? request->released_ms : 0;
    return over > released ? over : released;
}

static bool take_assignment(struct recover_requests *requests, const rd_kafka_message_t *message,
                            int64_t at_ms) {
    struct wp_buf text = {0};
    struct wp_error error;
    struct wp_str bytes = {message->payload, message->len};
    json_t *json = NULL;
    enum wp_err err = wp_wire_decode_json(requests->wire, WP_TOPIC_ASSIGNMENT, bytes, &text, &error);
    if (!err) json = json_loadb(text.data, text.len, 0, NULL);
    const char *id = json_string_value(json_object_get(json, "request_id")),
               *status = json_string_value(json_object_get(json, "status"));
    struct request *request = id && status ? request_of(requests, id) : NULL;
    if (request && strcmp(status, "assigned") == 0) {
        /* The lease began at its epoch (us), which a repeated answer repeats. */
        int64_t began_ms = json_integer_value(json_object_get(json, "lease_epoch")) / 1000;
        request->assigned_ms = began_ms > 0 && began_ms < at_ms ? began_ms : at_ms;
        wp_buf_reset(&request->assignment);
        wp_buf_reset(&request->key);
        wp_buf_add(&request->assignment, text.data, text.len);
        wp_buf_add(&request->key, message->key, message->key_len);
    } else if (request) {
        request->over_ms = at_ms;
    }
    if (request && ended_ms(request)) let_go(request);
    json_decref(json);
    wp_buf_done(&text);
    return err != WP_ERR_AGAIN;
}

static void take_release(struct recover_requests *requests, const union wp_event *event, int64_t at_ms) {
    char *id = wp_strndup(event->release.request_id);
    struct request *request = request_of(requests, id);
    request->released_ms = at_ms;
    if (ended_ms(request)) let_go(request);
    free(id);
}

/* Keeps the first acquire of a request: later ones repeat it. */
static void take_acquire(struct recover_requests *requests, const union wp_event *event,
                         const rd_kafka_message_t *message, int64_t at_ms) {
    char *id = wp_strndup(event->acquire.request_id);
    struct request *request = request_of(requests, id);
    if (!request->asked_ms && !ended_ms(request)) {
        wp_buf_add(&request->acquire, message->payload, message->len);
        wp_buf_add(&request->acquire_key, message->key, message->key_len);
    }
    if (!request->asked_ms) request->asked_ms = at_ms;
    free(id);
}

bool recover_requests_take(struct recover_requests *requests, enum wp_topic topic,
                           const rd_kafka_message_t *message, int64_t at_ms) {
    struct wp_arena arena = {0};
    struct wp_error error;
    union wp_event event;
    struct wp_str bytes = {message->payload, message->len};
    if (topic == WP_TOPIC_ASSIGNMENT) return take_assignment(requests, message, at_ms);
    enum wp_err err = wp_wire_decode(requests->wire, topic, bytes, &arena, &event, &error);
    if (err)
        ; /* ignored: it went to dead-letter, or comes again */
    else if (topic == WP_TOPIC_RELEASE)
        take_release(requests, &event, at_ms);
    else
        take_acquire(requests, &event, message, at_ms);
    wp_arena_done(&arena);
    return err != WP_ERR_AGAIN;
}

/* True while Redis would still remember a request that ended then. */
static bool is_remembered(const struct recover_requests *requests, int64_t ended, int64_t now_ms) {
    return ended > now_ms - requests->config->pool.request_ttl * 1000;
}

/* Ended requests are not dropped at once, because their last record may be repeated soon afterwards. */
void recover_requests_read_until(struct recover_requests *requests, int64_t at_ms) {
    struct request *request, *next;
    if (HASH_COUNT(requests->table) < requests->sweep_at) return;
    HASH_ITER(hh, requests->table, request, next) {
        int64_t last_ms = ended_ms(request);
        if (!last_ms && !request->asked_ms && !request->assigned_ms) last_ms = request->released_ms;
        if (last_ms && !is_remembered(requests, last_ms, at_ms)) drop(requests, request);
    }
    requests->sweep_at = 2 * HASH_COUNT(requests->table) + SWEEP_LEAST;
}

/* --- rows for Redis --------------------------------------------------------------------------------------
 */

static void pack_waiting(const struct request *request, const union wp_event *acquire, int64_t now_ms,
                         struct wp_buf *rows) {
    struct wp_meta meta = {.record_age_ms = now_ms > request->asked_ms ? now_ms - request->asked_ms : 0,
                           .key = wp_buf_str(&request->acquire_key),
                           .trace = WP_STR("")};
    wp_pack_waiting(rows, &meta, acquire);
}

/* Adds the lease, also one that has expired just now, so that its holder hears of it. False: it ended long
 * ago. */
static bool pack_lease(const struct recover_requests *requests, const struct request *request,
                       struct wp_str tenant, int64_t now_ms, struct wp_buf *rows) {
    json_t *assignment = json_loadb(request->assignment.data, request->assignment.len, 0, NULL);
    int64_t expires_ms = json_integer_value(json_object_get(assignment, "lease_expires_at"));
    const char *container = json_string_value(json_object_get(assignment, "container_id"));
    bool on = container && *container && (!expires_ms || is_remembered(requests, expires_ms, now_ms));
    if (on) wp_pack_lease(rows, assignment, wp_buf_str(&request->key), tenant);
    json_decref(assignment);
    return on;
}

/* Adds the request's row. False: Redis needs to know nothing of it. */
static bool pack(const struct recover_requests *requests, const struct request *request,
                 struct wp_buf *rows) {
    struct wp_arena arena = {0};
    struct wp_error error;
    union wp_event event;
    int64_t now_ms = wp_clock_wall_ms(), last_ms = ended_ms(request);
    bool asked = request->acquire.len > 0 &&
                 wp_wire_decode(requests->wire, WP_TOPIC_ACQUIRE, wp_buf_str(&request->acquire), &arena,
                                &event, &error) == WP_OK;
    bool packed = true;
    if (!last_ms && request->assigned_ms) {
        struct wp_str tenant = !asked                     ? WP_STR("") /* matches no other tenant */
                               : event.acquire.tenant.ptr ? event.acquire.tenant
                                                          : WP_STR("default");
        packed = pack_lease(requests, request, tenant, now_ms, rows);
    } else if (!last_ms && asked) {
        pack_waiting(request, &event, now_ms, rows);
    } else if (last_ms && is_remembered(requests, last_ms, now_ms)) {
        wp_pack_ended(rows, wp_str(request->id));
    } else {
        packed = false;
    }
    wp_arena_done(&arena);
    return packed;
}

/* Younger leases first: of two requests that seem to hold the same container the younger one does. */
static int by_age(const struct request *a, const struct request *b) {
    return (a->assigned_ms < b->assigned_ms) - (a->assigned_ms > b->assigned_ms);
}

uint32_t recover_requests_pack(struct recover_requests *requests, uint32_t most, struct wp_buf *rows) {
    struct request *request, *next;
    uint32_t count = 0;
    if (!requests->sorted) HASH_SORT(requests->table, by_age);
    requests->sorted = true;
    HASH_ITER(hh, requests->table, request, next) {
        if (count == most) break;
        if (pack(requests, request, rows)) count++;
        drop(requests, request);
    }
    return count;
}
