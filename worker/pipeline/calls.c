/* Owns the calls under way. Decides which batches go in one call, and reports each part of the answer to its
 * partition. Calls records.c for the records of an answer. */
#include "pipeline/calls.h"
#include "pipeline/traced.h"
#include "core/clock.h"
#include "core/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 32, ARGS_EACH = 5, BODY_BYTES_MAX = 4 << 20, MEASURE_US = 3000000 };

struct calls {
    const struct pipeline_context *context;
    struct records *records;
    struct publisher *publisher;
    struct partition **partitions;
    unsigned under_way[WP_TOPICS_IN];
    unsigned references; /* of its owner, and of all calls under way */
    bool ended;
    int64_t measure_until_us;  /* acquires wait until then for the broker's clock; 0: none had to yet */
    struct wp_columns columns; /* scratch: the events of a batch */
    struct wp_buf body;        /* scratch: the batches of a call */
    struct wp_arena arena;     /* scratch: one decoded event */
};

struct call_entry { /* a partition and its batch, in a call */
    struct partition *p;
    struct wp_batch batch;
};

struct call {
    struct calls *calls;
    enum wp_topic topic;
    size_t count;
    struct call_entry entries[];
};

struct draft { /* a call that is being put together */
    size_t count;
    uint32_t events;
    bool alone, skip;
    bool replay; /* Redis is full: only what was applied before can be answered */
    struct call_entry entries[ENTRIES_MAX];
    size_t from[ENTRIES_MAX], len[ENTRIES_MAX]; /* of its events in calls->body */
};

struct calls *calls_new(const struct pipeline_context *context, struct records *records,
                        struct publisher *publisher, struct partition **partitions) {
    struct calls *calls = wp_calloc(1, sizeof *calls);
    *calls = (struct calls){.context = context,
                            .records = records,
                            .publisher = publisher,
                            .partitions = partitions,
                            .references = 1};
    return calls;
}

static void release(struct calls *calls) {
    if (--calls->references > 0) return;
    wp_columns_done(&calls->columns);
    wp_buf_done(&calls->body);
    wp_arena_done(&calls->arena);
    free(calls);
}

void calls_free(struct calls *calls) {
    if (!calls) return;
    calls->ended = true;
    release(calls);
}

static struct wp_link *link_of(const struct partition *p) {
    return p->context->links[p->row->slot];
}

/* ---- answers ---- */

static bool publish_chunks(struct calls *calls, const struct call_entry *entry, const redisReply *answer) {
    int64_t applied = answer->element[1]->integer;
    for (size_t i = 3; i < answer->elements; i++) {
        if (!records_publish(calls->records, entry->p, &entry->batch, applied, answer->element[i]))
            return false;
        if (!entry->p->delivery) return true; /* revoked meanwhile */
    }
    return true;
}

static void refuse(const struct call_entry *entry, enum wp_refusal why, int64_t applied, const char *text) {
    struct partition *p = entry->p;
    if (why == WP_REFUSAL_FAILED || why == WP_REFUSAL_UNREADABLE)
        wp_log(WP_LOG_ERROR, "function_failed", "partition=%s first=%lld last=%lld error=%s", p->name,
               (long long)entry->batch.first, (long long)entry->batch.last, text);
    if (wp_delivery_refused(p->delivery, &entry->batch, why, applied, text, wp_clock_us()))
        partition_restarted(p, "Redis knows less than it had acknowledged");
}

/* The slot answers a floor of -1 when it does not know the partition: it has no floor of it, or another
 * generation. */
static void on_gap(const struct call_entry *entry, int64_t applied, int64_t floor) {
    entry->p->context->stats->redis_gaps++;
    refuse(entry, floor < 0 ? WP_REFUSAL_UNKNOWN : WP_REFUSAL_GAP, applied, "");
}

/* answer: the entry's own, or the error reply of the whole call; NULL: there was no reply. */
static void on_answer(struct calls *calls, const struct call_entry *entry, const redisReply *answer) {
    struct partition *p = entry->p;
    if (!answer) { /* the connection was lost: sent again after wp_pipeline_link_state */
        refuse(entry, WP_REFUSAL_LOST, 0, "");
    } else if (wp_link_is_transient(answer)) {
        p->slot_is_full = strncmp(answer->str, "OOM", 3) == 0;
        refuse(entry, WP_REFUSAL_NOT_NOW, 0, answer->str);
    } else if (answer->type == REDIS_REPLY_ERROR) {
        refuse(entry, WP_REFUSAL_FAILED, 0, answer->str);
    } else if (answer->type != REDIS_REPLY_ARRAY || answer->elements < 3) {
        refuse(entry, WP_REFUSAL_FAILED, 0, "the function's reply is not that of this convention");
    } else if (answer->element[0]->integer == 0) {
        on_gap(entry, answer->element[1]->integer, answer->element[2]->integer);
    } else if (!publish_chunks(calls, entry, answer)) {
        bool whole = answer->element[1]->integer >= entry->batch.last;
        refuse(entry, whole ? WP_REFUSAL_UNREADABLE : WP_REFUSAL_FAILED, 0,
               "the function's records are not those of this convention");
    } else if (p->delivery) {
        wp_delivery_answered(p->delivery, &entry->batch, answer->element[1]->integer,
                             answer->element[2]->integer, wp_clock_us());
    }
}

static void on_reply(void *ctx, const redisReply *reply, const char *error) {
    struct call *call = ctx;
    struct calls *calls = call->calls;
    (void)error;
    bool whole = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == call->count;
    calls->under_way[call->topic]--;
    for (size_t i = 0; i < call->count; i++) {
        const struct call_entry *entry = &call->entries[i];
        if (!calls->ended && entry->p->delivery) on_answer(calls, entry, whole ? reply->element[i] : reply);
        partition_release(entry->p);
    }
    if (!calls->ended) calls_send(calls, call->topic);
    free(call);
    release(calls);
}

/* ---- batches ---- */

enum packed {
    PACKED,
    PACKED_DEAD, /* it went to dead-letter instead */
    PACKED_LATER /* its schema is being looked up */
};

/* Decodes the item's event into the columns. */
static enum packed pack_event(struct calls *calls, struct partition *p, struct item *item) {
    const struct wp_record_in *record = item->record;
    struct wp_meta meta = {.offset = item->offset,
                           .age_us = wp_clock_us() - item->read_us,
                           .record_age_ms = -1,
                           .key = record->key};
    if (record->append_time)
        meta.record_age_ms =
            wp_append_clock_age_ms(&calls->context->stats->append_clock, record->timestamp_ms, wp_clock_us());
    meta.trace = traced_call(item, meta.record_age_ms);
    union wp_event decoded;
    struct wp_error error = {0};
    memset(&decoded, 0, sizeof decoded);
    wp_arena_reset(&calls->arena);
    enum wp_err err =
        wp_wire_decode(calls->context->wire, p->row->topic, record->value, &calls->arena, &decoded, &error);
    bool valid = err == WP_OK;
    if (err == WP_ERR_AGAIN) return PACKED_LATER;
    /* An invalid acquire is answered (`rejected`) when its request_id could be read. */
    if (valid || (p->row->topic == WP_TOPIC_ACQUIRE && decoded.acquire.request_id.len > 0)) {
        p->row->add(&calls->columns, &meta, &decoded, valid ? NULL : error.text);
        return PACKED;
    }
    records_dead_letter(calls->records, item, wp_str(error.text), 1);
    return PACKED_DEAD;
}

/* The partition's next events, at most so many, as columns. */
static void gather(struct calls *calls, struct partition *p, uint32_t most, struct wp_batch *batch) {
    int64_t offset;
    void *item;
    bool waits = false;
    wp_columns_begin(&calls->columns, p->row->columns);
    while (!waits && batch->count < most && wp_columns_bytes(&calls->columns) <= BODY_BYTES_MAX &&
           wp_delivery_batch_next(p->delivery, batch, &offset, &item)) {
        enum packed packed = batch->skip ? PACKED : pack_event(calls, p, item);
        waits = packed == PACKED_LATER;
        if (packed == PACKED_DEAD) wp_delivery_batch_refuse(p->delivery, batch, offset);
        if (waits) wp_delivery_batch_put_back(p->delivery, batch);
    }
    partition_wait_for_schema(p, waits);
    if (!batch->skip) {
        wp_columns_end(&calls->columns, &calls->body);
        return;
    }
    char digits[24]; /* the body of a skip is the event's offset */
    int len = snprintf(digits, sizeof digits, "%lld", (long long)batch->first);
    wp_buf_add(&calls->body, digits, (size_t)len);
}

/* The next batch of the partition, if it has one and the call has room. An event that a function failed on
 * goes in a call of its own, so that it harms no other. */
static void add_batch(struct calls *calls, struct draft *draft, struct partition *p) {
    uint32_t batch_max = (uint32_t)calls->context->config->worker.batch;
    struct call_entry entry = {.p = p};
    size_t from = calls->body.len;
    if (draft->alone || draft->count == ENTRIES_MAX || draft->events >= batch_max || from > BODY_BYTES_MAX)
        return;
    if (!wp_delivery_batch_open(p->delivery, wp_clock_us(), &entry.batch)) return;
    if (draft->count > 0 && (entry.batch.alone || p->slot_is_full != draft->replay)) return;
    gather(calls, p, batch_max - draft->events, &entry.batch);
    if (entry.batch.count == 0) {
        calls->body.len = from;
        return;
    }
    wp_delivery_batch_sent(p->delivery, &entry.batch);
    draft->alone = entry.batch.alone;
    draft->skip = entry.batch.skip;
    draft->replay = p->slot_is_full;
    p->slot_is_full = false; /* the next call tries new events again */
    draft->events += entry.batch.count;
    draft->from[draft->count] = from;
    draft->len[draft->count] = calls->body.len - from;
    draft->entries[draft->count++] = entry;
}

/* False: the link is away; the events are sent again when it is back. */
static bool send_draft(struct calls *calls, enum wp_topic topic, const struct draft *draft) {
    const struct topic_row *row = &topic_table[topic];
    const char *function = draft->skip ? "skip" : draft->replay ? "replay" : row->function;
    struct wp_str args[ARGS_EACH * ENTRIES_MAX];
    char numbers[ENTRIES_MAX][3][24];
    struct call *call = wp_calloc(1, sizeof *call + draft->count * sizeof call->entries[0]);
    *call = (struct call){.calls = calls, .topic = topic, .count = draft->count};
    memcpy(call->entries, draft->entries, draft->count * sizeof call->entries[0]);
    for (size_t i = 0; i < draft->count; i++) {
        const struct call_entry *entry = &draft->entries[i];
        const int64_t values[3] = {entry->p->accepted, entry->batch.prev, entry->batch.floor};
        args[ARGS_EACH * i] = wp_str(entry->p->name);
        for (size_t k = 0; k < 3; k++) {
            (void)snprintf(numbers[i][k], sizeof numbers[i][k], "%lld", (long long)values[k]);
            args[ARGS_EACH * i + 1 + k] = wp_str(numbers[i][k]);
        }
        args[ARGS_EACH * i + 4] = (struct wp_str){calls->body.data + draft->from[i], draft->len[i]};
    }
    if (wp_link_call(calls->context->links[row->slot], function, args, ARGS_EACH * draft->count, on_reply,
                     call)) {
        for (size_t i = 0; i < draft->count; i++) refuse(&draft->entries[i], WP_REFUSAL_LOST, 0, "");
        free(call);
        return false;
    }
    calls->under_way[topic]++;
    calls->references++;
    for (size_t i = 0; i < draft->count; i++) partition_hold(draft->entries[i].p);
    return true;
}

/* The partition after `last` comes first in the next call, so that none waits for ever behind the others. */
static void move_to_end(struct partition **list, struct partition *last) {
    struct partition **end = list;
    while (*end) end = &(*end)->next;
    if (!last->next) return;
    *end = *list;
    *list = last->next;
    last->next = NULL;
}

/* The age of a record is known once a delivery report has shown the broker's clock. Until then the acquires
 * of a backlog would look younger than they are, and be served after their timeout: they wait, for MEASURE_US
 * at most, because the clock may never be shown. */
static bool age_is_unknown(struct calls *calls, enum wp_topic topic) {
    const struct wp_append_clock *clock = &calls->context->stats->append_clock;
    if (topic != WP_TOPIC_ACQUIRE || !clock->known || clock->measured) return false;
    int64_t now_us = wp_clock_us();
    if (calls->measure_until_us == 0) calls->measure_until_us = now_us + MEASURE_US;
    return now_us < calls->measure_until_us;
}

static bool fills_a_call(const struct calls *calls, enum wp_topic topic) {
    size_t events = 0, bytes = 0;
    for (const struct partition *p = *calls->partitions; p; p = p->next)
        if (p->row->topic == topic) wp_delivery_add_queued(p->delivery, &events, &bytes);
    return events >= (size_t)calls->context->config->worker.batch || bytes > BODY_BYTES_MAX;
}

/* Beside another call of its topic only a full one goes: what a call costs, here, in Redis and in Kafka, is
 * shared by its events. Events that come meanwhile gather for the call that follows. */
static bool may_call(const struct calls *calls, enum wp_topic topic) {
    unsigned most = (unsigned)calls->context->config->worker.calls, under_way = calls->under_way[topic];
    return under_way == 0 || (under_way < most && fills_a_call(calls, topic));
}

static void send_calls(struct calls *calls, enum wp_topic topic) {
    struct wp_link *link = calls->context->links[topic_table[topic].slot];
    while (may_call(calls, topic) && wp_link_ready(link) && !publisher_is_full(calls->publisher)) {
        struct draft draft;
        draft.count = draft.events = 0;
        draft.alone = draft.skip = draft.replay = false;
        wp_buf_reset(&calls->body);
        for (struct partition *p = *calls->partitions; p; p = p->next)
            if (p->row->topic == topic) add_batch(calls, &draft, p);
        if (draft.count == 0 || !send_draft(calls, topic, &draft)) return;
        move_to_end(calls->partitions, draft.entries[draft.count - 1].p);
    }
}

void calls_send(struct calls *calls, enum wp_topic topic) {
    if (age_is_unknown(calls, topic)) return;
    send_calls(calls, topic);
    wp_columns_reset(&calls->columns); /* an acquire may hold a claim */
    wp_arena_reset(&calls->arena);
    wp_buf_reset(&calls->body);
}

/* ---- floors and rule 7 ---- */

struct slot_query { /* a call about one partition that carries no events */
    struct partition *p;
    struct wp_delivery_known known; /* when it was asked */
};

static void on_floor(void *ctx, const redisReply *reply, const char *error) {
    struct slot_query *query = ctx;
    struct partition *p = query->p;
    (void)error;
    const redisReply *answer =
        reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 ? reply->element[0] : NULL;
    bool taken = answer && answer->type == REDIS_REPLY_ARRAY && answer->elements >= 3 &&
                 answer->element[0]->integer == 1;
    if (p->delivery && taken)
        wp_delivery_floor_acked(p->delivery, query->known.generation, answer->element[2]->integer);
    else if (p->delivery)
        wp_delivery_floor_lost(p->delivery, query->known.generation, wp_clock_us());
    partition_release(p);
    free(query);
}

static void on_verified(void *ctx, const redisReply *reply, const char *error) {
    struct slot_query *query = ctx;
    struct partition *p = query->p;
    (void)error;
    if (p->delivery && reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        bool same = reply->element[2]->integer == p->accepted;
        int64_t applied = same ? reply->element[0]->integer : -1,
                floor = same ? reply->element[1]->integer : -1;
        if (wp_delivery_verify(p->delivery, &query->known, applied, floor, wp_clock_us()))
            partition_restarted(p, same ? "Redis knows less than it had acknowledged"
                                        : "it was accepted anew (warmpool accept), or Redis lost its data");
    }
    partition_release(p);
    free(query);
}

static void ask(struct partition *p, const char *function, const struct wp_str *args, size_t count,
                wp_link_reply reply) {
    struct slot_query *query = wp_calloc(1, sizeof *query);
    *query = (struct slot_query){p, wp_delivery_known(p->delivery)};
    partition_hold(p);
    if (wp_link_call(link_of(p), function, args, count, reply, query)) reply(query, NULL, "not connected");
}

void calls_tell_floor(struct calls *calls, struct partition *p, int64_t prev, int64_t floor) {
    char numbers[3][24];
    const int64_t values[3] = {p->accepted, prev, floor};
    struct wp_str args[4] = {wp_str(p->name)};
    (void)calls;
    for (size_t k = 0; k < 3; k++) {
        (void)snprintf(numbers[k], sizeof numbers[k], "%lld", (long long)values[k]);
        args[1 + k] = wp_str(numbers[k]);
    }
    ask(p, "floors", args, 4, on_floor);
}

void calls_verify(struct calls *calls, struct partition *p) {
    const struct wp_str name = wp_str(p->name ? p->name : "");
    (void)calls;
    if (wp_delivery_state(p->delivery) == WP_DELIVERY_RUNNING) ask(p, "positions", &name, 1, on_verified);
}
