/* Reads what Kafka tells of leases, and hands it to Redis. The loop's thread; a timer takes what has come. */
#include "engine/recover.h"
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <uthash.h>
#include "bus/admin.h"
#include "core/clock.h"
#include "core/log.h"
#include "pool/recover_calls.h"
#include "store/event_args.h"

enum { TICK_MS = 5, BATCH = 1000, ROWS = 200, METADATA_MS = 2000 };
enum { ASSIGNMENTS, RELEASES, ACQUIRES, TOPICS }; /* that are read */

struct request { /* what was said of it last; times are the records', ms, 0: nothing */
    char *id;    /* owned */
    int64_t assigned_ms, over_ms, released_ms;
    struct wp_buf assignment; /* as JSON */
    int64_t asked_ms;
    struct wp_buf acquire; /* the record's bytes */
    struct wp_buf acquire_key;
    struct wp_buf key; /* the record's */
    UT_hash_handle hh;
};

struct log { /* a partition that is read */
    rd_kafka_topic_t *topic;
    int32_t partition;
    bool begun, ended;
};

struct recovery {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_link *link;
    struct wp_wire *wire;
    const struct wp_buf *settings;
    uv_timer_t tick;
    rd_kafka_t *rk; /* NULL unless it is under way */
    rd_kafka_topic_t *topics[TOPICS];
    rd_kafka_queue_t *queue;
    struct log *logs;
    size_t log_count;
    struct request *requests;
    int64_t covered_ms; /* from then on all containers that were assigned are seen; 0: always */
    bool handing_over, freed;
    int pins; /* the timer and a call */
    size_t leases, ended;
};

/* --- what is read -------------------------------------------------------------------------------------- */

static struct request *request_of(struct recovery *r, const char *id) {
    struct request *request;
    HASH_FIND_STR(r->requests, id, request);
    if (request) return request;
    request = wp_calloc(1, sizeof *request);
    request->id = wp_strdup(id);
    HASH_ADD_KEYPTR(hh, r->requests, request->id, strlen(request->id), request);
    return request;
}

static void take_assignment(struct recovery *r, const rd_kafka_message_t *message, int64_t at_ms) {
    struct wp_buf text = {0};
    struct wp_error error;
    struct wp_str bytes = {message->payload, message->len};
    if (wp_wire_decode_json(r->wire, WP_TOPIC_ASSIGNMENT, bytes, &text, &error) == WP_OK) {
        json_t *json = json_loadb(text.data, text.len, 0, NULL);
        const char *id = json_string_value(json_object_get(json, "request_id"));
        const char *status = json_string_value(json_object_get(json, "status"));
        if (id && status && strcmp(status, "assigned") == 0) {
            struct request *request = request_of(r, id);
            request->assigned_ms = at_ms;
            wp_buf_reset(&request->assignment);
            wp_buf_reset(&request->key);
            wp_buf_add(&request->assignment, text.data, text.len);
            wp_buf_add(&request->key, message->key, message->key_len);
        } else if (id && status) {
            request_of(r, id)->over_ms = at_ms;
        }
        json_decref(json);
    }
    wp_buf_done(&text);
}

static void take_release(struct recovery *r, const rd_kafka_message_t *message, int64_t at_ms) {
    struct wp_arena arena = {0};
    struct wp_error error;
    union wp_event event;
    struct wp_str bytes = {message->payload, message->len};
    if (wp_wire_decode(r->wire, WP_TOPIC_RELEASE, bytes, &arena, &event, &error) == WP_OK) {
        char *id = wp_strndup(event.release.request_id);
        request_of(r, id)->released_ms = at_ms;
        free(id);
    }
    wp_arena_done(&arena);
}

/* Of a request the first: a repeated one is the same request. */
static void take_acquire(struct recovery *r, const rd_kafka_message_t *message, int64_t at_ms) {
    struct wp_arena arena = {0};
    struct wp_error error;
    union wp_event event;
    struct wp_str bytes = {message->payload, message->len};
    if (wp_wire_decode(r->wire, WP_TOPIC_ACQUIRE, bytes, &arena, &event, &error) == WP_OK) {
        char *id = wp_strndup(event.acquire.request_id);
        struct request *request = request_of(r, id);
        if (!request->asked_ms) {
            request->asked_ms = at_ms;
            wp_buf_add(&request->acquire, message->payload, message->len);
            wp_buf_add(&request->acquire_key, message->key, message->key_len);
        }
        free(id);
    }
    wp_arena_done(&arena);
}

static struct log *log_of(struct recovery *r, const rd_kafka_message_t *message) {
    for (size_t i = 0; i < r->log_count; i++)
        if (r->logs[i].topic == message->rkt && r->logs[i].partition == message->partition)
            return &r->logs[i];
    return NULL;
}

/* Records were deleted before the first that is left: what they said of a container nobody knows. */
static void see_first(struct recovery *r, struct log *log, int64_t offset, int64_t at_ms) {
    if (log->begun) return;
    log->begun = true;
    if (log->topic == r->topics[ASSIGNMENTS] && offset > 0 && at_ms > r->covered_ms) r->covered_ms = at_ms;
}

static void take(struct recovery *r, const rd_kafka_message_t *message) {
    struct log *log = log_of(r, message);
    if (!log) return;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        see_first(r, log, message->offset, wp_clock_wall_ms());
        log->ended = true;
    } else if (!message->err) {
        int64_t at_ms = rd_kafka_message_timestamp(message, NULL);
        see_first(r, log, message->offset, at_ms);
        if (log->topic == r->topics[ASSIGNMENTS])
            take_assignment(r, message, at_ms);
        else if (log->topic == r->topics[RELEASES])
            take_release(r, message, at_ms);
        else
            take_acquire(r, message, at_ms);
    } else {
        wp_log(WP_LOG_WARN, "recovery_read_failed", "reason=%s", rd_kafka_message_errstr(message));
    }
}

/* --- what is handed over ---------------------------------------------------------------------------------
 */

static void close_kafka(struct recovery *r) {
    if (!r->rk) return;
    for (size_t i = 0; i < r->log_count; i++) rd_kafka_consume_stop(r->logs[i].topic, r->logs[i].partition);
    if (r->queue) rd_kafka_queue_destroy(r->queue);
    for (int i = 0; i < TOPICS; i++)
        if (r->topics[i]) rd_kafka_topic_destroy(r->topics[i]);
    rd_kafka_destroy(r->rk);
    free(r->logs);
    r->rk = NULL;
    r->queue = NULL;
    r->logs = NULL;
    r->log_count = 0;
}

static void drop_request(struct recovery *r, struct request *request) {
    HASH_DEL(r->requests, request);
    wp_buf_done(&request->assignment);
    wp_buf_done(&request->key);
    wp_buf_done(&request->acquire);
    wp_buf_done(&request->acquire_key);
    free(request->id);
    free(request);
}

static void end(struct recovery *r) {
    struct request *request, *next;
    uv_timer_stop(&r->tick);
    close_kafka(r);
    HASH_ITER(hh, r->requests, request, next) drop_request(r, request);
    r->handing_over = false;
}

/* Of its acquire; empty when that is not there any more. */
static bool read_acquire(const struct recovery *r, const struct request *request, struct wp_arena *arena,
                         union wp_event *ret_event) {
    struct wp_error error;
    return request->acquire.len > 0 &&
           wp_wire_decode(r->wire, WP_TOPIC_ACQUIRE, wp_buf_str(&request->acquire), arena, ret_event,
                          &error) == WP_OK;
}

/* Redis remembers a request for so long after its end. */
static bool is_remembered(const struct recovery *r, int64_t at_ms, int64_t now_ms) {
    return at_ms > now_ms - r->config->pool.request_ttl * 1000;
}

static bool pack_waiting(const struct request *request, const union wp_event *acquire, int64_t now_ms,
                         struct wp_buf *out) {
    struct wp_meta meta = {.timestamp_ms = now_ms > request->asked_ms ? now_ms - request->asked_ms : 0,
                           .read_us = wp_clock_us(),
                           .key = wp_buf_str(&request->acquire_key),
                           .traceparent = WP_STR("")};
    wp_pack_waiting(out, &meta, acquire);
    return true;
}

/* Also when it has expired just now: its holder is told then. acquire: NULL when it is not there any more. */
static bool pack_lease(const struct recovery *r, const struct request *request, const union wp_event *acquire,
                       int64_t now_ms, struct wp_buf *out) {
    json_t *assignment = json_loadb(request->assignment.data, request->assignment.len, 0, NULL);
    int64_t expires_ms = json_integer_value(json_object_get(assignment, "lease_expires_at"));
    const char *container = json_string_value(json_object_get(assignment, "container_id"));
    bool on = container && *container && (expires_ms == 0 || is_remembered(r, expires_ms, now_ms));
    struct wp_str tenant = !acquire                      ? WP_STR("")
                           : acquire->acquire.tenant.ptr ? acquire->acquire.tenant
                                                         : WP_STR("default");
    if (on) wp_pack_lease(out, assignment, wp_buf_str(&request->key), tenant);
    json_decref(assignment);
    return on;
}

static bool pack_known(const struct recovery *r, const struct request *request, const union wp_event *acquire,
                       struct wp_buf *out) {
    int64_t now_ms = wp_clock_wall_ms(), last_ms = request->assigned_ms;
    bool over = request->over_ms >= request->assigned_ms || request->released_ms >= request->assigned_ms;
    if (!request->assigned_ms && !request->over_ms && !request->released_ms)
        return acquire && pack_waiting(request, acquire, now_ms, out);
    if (!over && pack_lease(r, request, acquire, now_ms, out)) return true;
    if (request->over_ms > last_ms) last_ms = request->over_ms;
    if (request->assigned_ms && request->released_ms > last_ms) last_ms = request->released_ms;
    if (!is_remembered(r, last_ms, now_ms)) return false;
    wp_pack_ended(out, wp_str(request->id));
    return true;
}

/* Adds what Redis should know of it, if anything. */
static bool pack_row(const struct recovery *r, const struct request *request, struct wp_buf *out) {
    struct wp_arena arena = {0};
    union wp_event event;
    bool asked = read_acquire(r, request, &arena, &event);
    bool known = pack_known(r, request, asked ? &event : NULL, out);
    wp_arena_done(&arena);
    return known;
}

static void hand_over(struct recovery *r);

static void on_handed_over(void *ctx, const redisReply *reply, const char *error) {
    struct recovery *r = ctx;
    bool good = reply && reply->type == REDIS_REPLY_INTEGER;
    if (good) r->leases += (size_t)reply->integer;
    if (r->freed || !good) {
        if (!r->freed)
            wp_log(WP_LOG_WARN, "recovery_failed", "reason=%s",
                   !reply                             ? error
                   : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                      : "an answer of another form");
        if (!r->freed) end(r);
    } else if (r->requests) {
        hand_over(r);
    } else {
        wp_log(WP_LOG_WARN, "state_recovered", "leases=%zu note=%s", r->leases,
               "Redis had forgotten; usage history, counters of pools and what only it knew are lost");
        end(r);
    }
    if (--r->pins == 0) free(r);
}

/* The next rows; with the last ones it is done. */
static void hand_over(struct recovery *r) {
    struct wp_buf rows = {0}, all = {0};
    uint32_t count = 0;
    char covered[32];
    struct request *request, *next;
    HASH_ITER(hh, r->requests, request, next) {
        if (count == ROWS) break;
        if (pack_row(r, request, &rows)) count++;
        drop_request(r, request);
    }
    wp_pack_array(&all, count);
    wp_buf_add(&all, rows.data, rows.len);
    int length = snprintf(covered, sizeof covered, "%lld", (long long)r->covered_ms * 1000);
    const struct wp_str args[] = {wp_buf_str(r->settings),
                                  r->requests ? WP_STR("") : WP_STR("end"),
                                  {covered, (size_t)length},
                                  wp_buf_str(&all)};
    r->handing_over = true;
    r->pins++;
    if (wp_link_call(r->link, "recover", args, 4, on_handed_over, r) != WP_OK) {
        r->pins--;
        end(r); /* whoever waits for it asks again */
    }
    wp_buf_done(&rows);
    wp_buf_done(&all);
}

static void on_tick(uv_timer_t *timer) {
    struct recovery *r = timer->data;
    rd_kafka_message_t *messages[BATCH];
    if (r->handing_over) return;
    rd_kafka_poll(r->rk, 0);
    ssize_t count = rd_kafka_consume_batch_queue(r->queue, 0, messages, BATCH);
    for (ssize_t i = 0; i < count; i++) {
        take(r, messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    for (size_t i = 0; i < r->log_count; i++)
        if (!r->logs[i].ended) return;
    uv_timer_stop(&r->tick);
    hand_over(r);
}

/* --- its life --------------------------------------------------------------------------------------------
 */

static const char *const properties[][2] = {{"group.id", "warmpool-recovery"},
                                            {"group.instance.id", ""},
                                            {"auto.offset.reset", "earliest"},
                                            {"enable.partition.eof", "true"}};

static rd_kafka_t *new_client(const struct recovery *r, struct wp_error *error) {
    char why[256];
    rd_kafka_conf_t *conf = wp_kafka_conf(r->config, true, error);
    if (!conf) return NULL;
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
        rd_kafka_conf_set(conf, properties[i][0], properties[i][1], why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (rk) return rk;
    rd_kafka_conf_destroy(conf);
    wp_fail(error, WP_ERR_KAFKA, "%s", why);
    return NULL;
}

static bool read_topic(struct recovery *r, int index, enum wp_topic topic, struct wp_error *error) {
    const struct rd_kafka_metadata *metadata;
    char *name = wp_topic_full_name(r->config, topic);
    r->topics[index] = rd_kafka_topic_new(r->rk, name, NULL);
    free(name);
    rd_kafka_resp_err_t err = rd_kafka_metadata(r->rk, 0, r->topics[index], &metadata, METADATA_MS);
    if (err) {
        wp_fail(error, WP_ERR_KAFKA, "%s", rd_kafka_err2str(err));
        return false;
    }
    int partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    r->logs = wp_realloc(r->logs, (r->log_count + (size_t)partitions) * sizeof *r->logs);
    for (int i = 0; i < partitions; i++) {
        r->logs[r->log_count++] = (struct log){.topic = r->topics[index], .partition = i};
        rd_kafka_consume_start_queue(r->topics[index], i, RD_KAFKA_OFFSET_BEGINNING, r->queue);
    }
    return partitions > 0;
}

struct recovery *recovery_new(uv_loop_t *loop, const struct wp_config *config, struct wp_link *link,
                              struct wp_wire *wire, const struct wp_buf *settings) {
    struct recovery *r = wp_calloc(1, sizeof *r);
    *r = (struct recovery){
        .loop = loop, .config = config, .link = link, .wire = wire, .settings = settings, .pins = 1};
    uv_timer_init(loop, &r->tick);
    r->tick.data = r;
    return r;
}

void recovery_start(struct recovery *r) {
    struct wp_error error = {.text = "the topics are not there yet"};
    if (r->rk || r->handing_over) return;
    r->leases = 0;
    r->covered_ms = 0;
    r->rk = new_client(r, &error);
    if (r->rk) r->queue = rd_kafka_queue_new(r->rk);
    if (r->rk && read_topic(r, ASSIGNMENTS, WP_TOPIC_ASSIGNMENT, &error) &&
        read_topic(r, RELEASES, WP_TOPIC_RELEASE, &error) &&
        read_topic(r, ACQUIRES, WP_TOPIC_ACQUIRE, &error)) {
        wp_log(WP_LOG_WARN, "recovery_started", "reason=%s",
               "Redis has forgotten what Kafka still tells: leases are looked up in container-assignment");
        uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
        return;
    }
    wp_log(WP_LOG_WARN, "recovery_failed", "reason=%s", error.text);
    end(r);
}

static void on_closed(uv_handle_t *handle) {
    struct recovery *r = handle->data;
    if (--r->pins == 0) free(r);
}

void recovery_free(struct recovery *r) {
    if (!r) return;
    end(r);
    r->freed = true;
    uv_close((uv_handle_t *)&r->tick, on_closed);
}
