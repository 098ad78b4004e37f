/* Owns a partition's window, its chain of calls and its floor: delivery rules 1 to 5, 7 and 8. The loop's
 * thread. */
#include "engine/partition.h"
#include "core/clock.h"
#include "core/log.h"
#include "engine/engine_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { RETRY_FIRST_MS = 20, RETRY_MAX_MS = 2000, SINGLE_ATTEMPTS = 2 };

struct call { /* under way in Redis */
    struct partition *p;
    unsigned epoch;
    int64_t first, last;        /* offsets of its events; first > last: none, it only tells the floor */
    int64_t acked, floor_acked; /* what the partition had been told when it was sent (verify) */
    bool single, skip;
};

struct partition *partition_new(struct wp_engine *engine, struct wp_tp tp) {
    struct partition *p = wp_calloc(1, sizeof *p);
    *p = (struct partition){.engine = engine,
                            .tp = tp,
                            .handler = &wp_handlers[tp.topic],
                            .references = 1,
                            .retry_ms = RETRY_FIRST_MS,
                            .acked = -1,
                            .sent = -1,
                            .committed = -1,
                            .single_until = -1};
    p->capacity = 64;
    p->window = wp_calloc(p->capacity, sizeof *p->window);
    return p;
}

void partition_release(struct partition *p) {
    if (--p->references > 0) return;
    wp_assert(p->state == PARTITION_GONE && p->count == 0);
    free(p->window);
    free(p->name);
    free(p);
}

static void event_free(struct event *event) {
    if (event->message) rd_kafka_message_destroy(event->message);
    free(event);
}

static void window_add(struct partition *p, struct event *event) {
    if (p->count == p->capacity) {
        struct event **grown = wp_calloc(p->capacity * 2, sizeof *grown);
        for (size_t i = 0; i < p->count; i++) grown[i] = partition_at(p, i);
        free(p->window);
        p->window = grown;
        p->first = 0;
        p->capacity *= 2;
    }
    p->window[(p->first + p->count++) % p->capacity] = event;
}

/* The index of the first event at or after offset. */
static size_t index_of(const struct partition *p, int64_t offset) {
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (partition_at(p, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct event *partition_find(const struct partition *p, int64_t offset) {
    size_t i = index_of(p, offset);
    return i < p->count && partition_at(p, i)->offset == offset ? partition_at(p, i) : NULL;
}

void partition_take(struct partition *p, rd_kafka_message_t *message) {
    int64_t newest = p->count > 0 ? partition_at(p, p->count - 1)->offset : p->floor - 1;
    if (p->state != PARTITION_RUNNING || message->offset <= newest) { /* of before a restart */
        rd_kafka_message_destroy(message);
        return;
    }
    struct event *event = wp_calloc(1, sizeof *event);
    *event = (struct event){
        .partition = p, .message = message, .offset = message->offset, .read_us = wp_clock_us()};
    window_add(p, event);
    if (!p->paused && p->count >= (size_t)p->engine->config->worker.window) {
        p->paused = true;
        wp_source_pause(p->engine->source, p->tp);
    }
}

/* The completed prefix leaves the window. */
static void advance_floor(struct partition *p) {
    while (p->count > 0 && partition_at(p, 0)->state == EVENT_DONE) {
        struct event *event = partition_at(p, 0);
        p->floor = event->offset + 1;
        p->first = (p->first + 1) % p->capacity;
        p->count--;
        if (p->unsent > 0) p->unsent--;
        event_free(event);
    }
    if (p->paused && p->state == PARTITION_RUNNING &&
        p->count <= (size_t)p->engine->config->worker.window / 2) {
        p->paused = false;
        if (!p->engine->stopping) wp_source_resume(p->engine->source, p->tp);
    }
}

static void complete(struct event *event) {
    struct partition *p = event->partition;
    event->state = EVENT_DONE;
    rd_kafka_message_destroy(event->message);
    event->message = NULL;
    p->engine->stats->events[p->tp.topic][event->dead ? WP_DONE_DEAD : WP_DONE_OK]++;
    if (event->answered && p->tp.topic == WP_TOPIC_ACQUIRE)
        wp_histogram_add(&p->engine->stats->acquire_to_assignment, wp_clock_us() - event->read_us);
}

void partition_event_done(struct event *event) {
    if (event->partition) {
        struct partition *p = event->partition;
        complete(event);
        advance_floor(p);
    } else {
        event->state = EVENT_DONE;
        event_free(event);
    }
}

void partition_forget(struct partition *p) {
    for (size_t i = 0; i < p->count; i++) {
        struct event *event = partition_at(p, i);
        event->partition = NULL;
        if (event->outstanding > 0)
            p->engine->forgotten++; /* freed by its last delivery report */
        else
            event_free(event);
    }
    p->first = p->count = p->unsent = 0;
    p->epoch++;
    p->calls = 0;
    p->dirty = false;
    p->single_until = -1;
    p->retry_at_us = 0;
}

void partition_restart(struct partition *p, const char *why) {
    if (p->state == PARTITION_GONE) return;
    wp_log(WP_LOG_WARN, "partition_restarted", "partition=%s floor=%lld reason=%s", p->name ? p->name : "?",
           (long long)p->floor, why);
    p->engine->stats->partition_restarts++;
    wp_source_pause(p->engine->source, p->tp);
    partition_forget(p);
    p->paused = false;
    partition_look(p);
}

/* Everything unresolved goes back to be sent again, chained to the last acknowledged offset (rule 4). */
static void rewind_chain(struct partition *p) {
    p->unsent = p->count;
    for (size_t i = p->count; i-- > 0;) {
        struct event *event = partition_at(p, i);
        if (event->state == EVENT_SENT) event->state = EVENT_QUEUED;
        if (event->state == EVENT_QUEUED) p->unsent = i;
    }
    p->sent = p->acked;
    p->dirty = false;
}

static void back_off(struct partition *p) {
    p->retry_at_us = wp_clock_us() + (int64_t)p->retry_ms * 1000;
    p->retry_ms = p->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms * 2;
}

/* Rule 8: a function failed on this batch, though Redis is well: find the event that it fails on. stored: it
 * was applied, but what it answered cannot be read, and never will be: a skip would give the same. */
static void on_function_error(struct partition *p, const struct call *call, const char *text, bool stored) {
    p->dirty = true;
    if (!call->single) {
        wp_log(WP_LOG_WARN, "function_failed", "partition=%s first=%lld last=%lld error=%s", p->name,
               (long long)call->first, (long long)call->last, text);
        p->single_until = call->last > p->single_until ? call->last : p->single_until;
        return;
    }
    struct event *event = partition_find(p, call->first);
    if (event) event->attempts++;
    if (call->first > p->single_until) p->single_until = call->first;
    wp_log(WP_LOG_ERROR, "event_failed", "partition=%s offset=%lld error=%s", p->name, (long long)call->first,
           text);
    back_off(p);
    if (event && event->state == EVENT_SENT && stored && event->attempts >= SINGLE_ATTEMPTS) {
        event->state = EVENT_ANSWERED;
        if (call->last > p->acked) p->acked = call->last;
        publish_dead(p, event, wp_str(text));
    }
}

static bool apply_reply(struct partition *p, const struct call *call, const redisReply *reply) {
    int64_t applied = reply->element[1]->integer, floor = reply->element[2]->integer;
    int64_t upto = applied < call->last ? applied : call->last;
    for (size_t i = 3; i < reply->elements; i++) {
        struct wp_str chunk = {reply->element[i]->str, reply->element[i]->len};
        if (reply->element[i]->type != REDIS_REPLY_STRING || !publish_chunk(p, chunk, call->first, upto))
            return false;
    }
    if (upto > p->acked) p->acked = upto;
    if (floor > p->floor_acked) p->floor_acked = floor;
    if (applied < call->last)
        p->dirty = true; /* it stopped early to stay within bounds: the rest goes again */
    for (size_t i = index_of(p, call->first); i < p->count; i++) {
        struct event *event = partition_at(p, i);
        if (event->offset > upto) break;
        if (event->state != EVENT_SENT) continue;
        event->state = EVENT_ANSWERED;
        if (event->outstanding == 0) complete(event); /* answered without a record */
    }
    advance_floor(p);
    return true;
}

static void on_answer(struct partition *p, const struct call *call, const redisReply *reply) {
    if (!reply) { /* the connection was lost: wp_engine_link_state goes on */
        p->dirty = true;
    } else if (wp_link_is_transient(reply)) {
        p->dirty = true;
        back_off(p);
        if (p->retry_ms >= RETRY_MAX_MS)
            wp_log(WP_LOG_WARN, "redis_refuses", "partition=%s error=%s", p->name, reply->str);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        on_function_error(p, call, reply->str, false);
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3) {
        on_function_error(p, call, "the function's reply is not that of this convention", false);
    } else if (reply->element[0]->integer == 0) { /* a gap */
        p->engine->stats->redis_gaps++;
        if (reply->element[1]->integer < p->acked)
            partition_restart(p, "Redis knows less than it had acknowledged");
        else
            p->dirty = true;
    } else if (!apply_reply(p, call, reply)) {
        on_function_error(p, call, "the function's records are not those of this convention",
                          reply->element[1]->integer >= call->last);
    } else {
        p->retry_ms = RETRY_FIRST_MS;
    }
}

static void on_reply(void *ctx, const redisReply *reply, const char *error) {
    struct call *call = ctx;
    struct partition *p = call->p;
    (void)error;
    if (p->state == PARTITION_RUNNING && call->epoch == p->epoch) {
        p->calls--;
        on_answer(p, call, reply);
        if (p->state == PARTITION_RUNNING) partition_send(p);
    }
    partition_release(p);
    free(call);
}

static struct wp_str number(char *text, size_t size, int64_t value) {
    return (struct wp_str){text, (size_t)snprintf(text, size, "%lld", (long long)value)};
}

/* One call of the partition's function (or of `skip` with an offset as its events). */
static bool send_call(struct partition *p, const char *function, struct wp_str events, int64_t first,
                      int64_t last, bool single) {
    struct wp_engine *engine = p->engine;
    char prev[24], floor[24];
    const struct wp_str args[] = {wp_str(p->name), number(prev, sizeof prev, p->sent),
                                  number(floor, sizeof floor, p->floor),
                                  wp_buf_str(&engine->settings[p->handler->slot]), events};
    struct call *call = wp_calloc(1, sizeof *call);
    *call = (struct call){.p = p, .epoch = p->epoch, .first = first, .last = last, .single = single};
    if (wp_link_call(engine->links[p->handler->slot], function, args, 5, on_reply, call)) {
        free(call);
        return false;
    }
    p->calls++;
    p->references++;
    if (last >= first) p->sent = last;
    return true;
}

/* A trace header has 55 bytes; what is far longer is none, and is not carried along. */
enum { LONGEST_TRACE = 512 };

static struct wp_str header_of(const rd_kafka_message_t *message, const char *name) {
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) || rd_kafka_header_get_last(headers, name, &value, &size))
        return (struct wp_str){NULL, 0};
    return (struct wp_str){value, value && size <= LONGEST_TRACE ? size : 0};
}

/* Decodes the event into the call's body. False: it went to dead-letter instead. */
static bool pack_event(struct partition *p, struct event *event) {
    struct wp_engine *engine = p->engine;
    rd_kafka_message_t *m = event->message;
    rd_kafka_timestamp_type_t type;
    struct wp_meta meta = {.offset = event->offset,
                           .read_us = event->read_us,
                           .timestamp_ms = rd_kafka_message_timestamp(m, &type),
                           .key = {m->key, m->key_len},
                           .traceparent = header_of(m, "traceparent")};
    union wp_event decoded;
    struct wp_error error = {0};
    memset(&decoded, 0, sizeof decoded);
    wp_arena_reset(&engine->arena);
    if (!wp_wire_decode(engine->wire, p->tp.topic, (struct wp_str){m->payload, m->len}, &engine->arena,
                        &decoded, &error)) {
        p->handler->pack(&engine->body, &meta, &decoded, NULL);
        return true;
    }
    if (p->tp.topic == WP_TOPIC_ACQUIRE && decoded.acquire.request_id.len > 0) {
        p->handler->pack(&engine->body, &meta, &decoded, error.text);
        return true;
    }
    event->state = EVENT_ANSWERED;
    publish_dead(p, event, wp_str(error.text));
    return false;
}

/* The next call's events, from `unsent` on. Returns how many; *ret_last is the last one's offset. */
static uint32_t gather(struct partition *p, uint32_t most, int64_t *ret_first, int64_t *ret_last) {
    struct wp_engine *engine = p->engine;
    uint32_t count = 0;
    wp_buf_reset(&engine->body);
    wp_buf_add(&engine->body, "\xdd\0\0\0\0", 5); /* array 32; its length follows when it is known */
    while (count < most && p->unsent < p->count) {
        struct event *event = partition_at(p, p->unsent);
        if (event->attempts >= SINGLE_ATTEMPTS && count > 0) break;
        p->unsent++;
        if (event->state != EVENT_QUEUED) continue;
        if (event->attempts < SINGLE_ATTEMPTS && !pack_event(p, event)) continue;
        event->state = EVENT_SENT;
        if (count++ == 0) *ret_first = event->offset;
        *ret_last = event->offset;
        if (event->attempts >= SINGLE_ATTEMPTS || event->offset <= p->single_until) break;
        if (engine->body.len > 4u << 20) break;
    }
    for (int i = 0; i < 4; i++) engine->body.data[1 + i] = (char)(count >> (24 - 8 * i));
    return count;
}

static bool may_send(struct partition *p) {
    struct wp_engine *engine = p->engine;
    if (p->state != PARTITION_RUNNING || !wp_link_ready(engine->links[p->handler->slot]) ||
        publisher_is_full(engine->publisher))
        return false;
    if (p->dirty) {
        if (p->calls > 0 || p->retry_at_us > wp_clock_us()) return false;
        rewind_chain(p);
    }
    return p->calls < (p->single_until >= 0 ? 1 : (int)engine->config->worker.calls);
}

void partition_send(struct partition *p) {
    while (p->unsent < p->count || p->dirty) {
        if (!may_send(p) || p->unsent >= p->count) break;
        int64_t first = 0, last = -1;
        uint32_t count = gather(p, (uint32_t)p->engine->config->worker.batch, &first, &last);
        if (count == 0) continue;
        struct event *event = partition_find(p, first);
        bool sent;
        if (event->attempts >= SINGLE_ATTEMPTS) { /* rule 8: skip it, by dead letter */
            char offset[24];
            sent = send_call(p, "skip", number(offset, sizeof offset, first), first, last, true);
        } else {
            sent =
                send_call(p, p->handler->function, wp_buf_str(&p->engine->body), first, last, first == last);
        }
        if (!sent) {
            p->dirty = true; /* the link went away in between */
            break;
        }
        if (last >= p->single_until) p->single_until = -1;
    }
}

void partition_tell_floor(struct partition *p) {
    if (p->state != PARTITION_RUNNING || p->floor <= p->floor_acked || p->calls > 0 || p->dirty) return;
    if (!wp_link_ready(p->engine->links[p->handler->slot])) return;
    if (!send_call(p, p->handler->function, WP_STR("\x90"), 1, 0, false)) p->dirty = true;
}

static void on_verified(void *ctx, const redisReply *reply, const char *error) {
    struct call *call = ctx;
    struct partition *p = call->p;
    (void)error;
    if (p->state == PARTITION_RUNNING && call->epoch == p->epoch && reply &&
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        int64_t applied = reply->element[0]->integer, floor = reply->element[1]->integer;
        int64_t known = applied > floor - 1 ? applied : floor - 1;
        if (known < call->acked || floor < call->floor_acked)
            partition_restart(p, "Redis knows less than it had acknowledged");
    }
    partition_release(p);
    free(call);
}

void partition_verify(struct partition *p) {
    if (p->state != PARTITION_RUNNING) return;
    const struct wp_str name = wp_str(p->name);
    struct call *call = wp_calloc(1, sizeof *call);
    *call = (struct call){.p = p, .epoch = p->epoch, .acked = p->acked, .floor_acked = p->floor_acked};
    if (wp_link_call(p->engine->links[p->handler->slot], "positions", &name, 1, on_verified, call)) {
        free(call);
        return;
    }
    p->references++;
}
