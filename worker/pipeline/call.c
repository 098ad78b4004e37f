/* Owns calls of the topics' functions: which batches go together, and what becomes of their answers (delivery
 * rules 2 to 4 and 8). The loop's thread. */
#include "pipeline/call.h"
#include "core/clock.h"
#include "core/log.h"
#include "pipeline/internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { RETRY_MAX_MS = 2000, SINGLE_ATTEMPTS = 2, MAX_PARTS = 32, MAX_BODY = 4 << 20 };

struct part { /* one partition's batch in a call */
    struct partition *p;
    unsigned epoch;
    int64_t first, last; /* offsets of its events; first > last: none, it only tells the floor */
    bool single;         /* its one event is all that the call has */
};

struct call { /* under way in Redis */
    struct wp_pipeline *pipeline;
    enum wp_topic topic;
    size_t count;
    struct part parts[];
};

struct draft { /* a call that is being put together */
    const char *function;
    size_t count;
    uint32_t events;
    bool alone; /* takes no more parts */
    struct part parts[MAX_PARTS];
    size_t from[MAX_PARTS], len[MAX_PARTS]; /* of its events in pipeline->body */
    char generation[MAX_PARTS][24], prev[MAX_PARTS][24], floor[MAX_PARTS][24];
};

/* ---- answers ---- */

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
static void on_function_error(const struct part *part, const char *text, bool stored) {
    struct partition *p = part->p;
    p->dirty = true;
    if (!part->single) {
        wp_log(WP_LOG_WARN, "function_failed", "partition=%s first=%lld last=%lld error=%s", p->name,
               (long long)part->first, (long long)part->last, text);
        p->single_until = part->last > p->single_until ? part->last : p->single_until;
        return;
    }
    struct event *event = partition_find(p, part->first);
    if (event) event->attempts++;
    if (part->first > p->single_until) p->single_until = part->first;
    wp_log(WP_LOG_ERROR, "event_failed", "partition=%s offset=%lld error=%s", p->name, (long long)part->first,
           text);
    back_off(p);
    if (event && event->state == EVENT_SENT && stored && event->attempts >= SINGLE_ATTEMPTS) {
        event->state = EVENT_ANSWERED;
        if (part->last > p->acked) p->acked = part->last;
        publish_dead(p, event, wp_str(text));
    }
}

static bool apply_answer(const struct part *part, const redisReply *answer) {
    struct partition *p = part->p;
    int64_t applied = answer->element[1]->integer, floor = answer->element[2]->integer;
    int64_t upto = applied < part->last ? applied : part->last;
    for (size_t i = 3; i < answer->elements; i++) {
        struct wp_str chunk = {answer->element[i]->str, answer->element[i]->len};
        if (answer->element[i]->type != REDIS_REPLY_STRING || !publish_chunk(p, chunk, part->first, upto))
            return false;
    }
    if (upto > p->acked) p->acked = upto;
    if (floor > p->floor_acked) p->floor_acked = floor;
    if (applied < part->last) { /* it stopped early to stay within bounds: the rest goes again */
        p->dirty = true;
        if (upto < part->first) back_off(p);
    }
    partition_answered(p, part->first, upto);
    return true;
}

/* answer: the part's own, or the error reply of the whole call, or NULL. */
static void on_answer(const struct part *part, const redisReply *answer) {
    struct partition *p = part->p;
    if (!answer) { /* the connection was lost: wp_pipeline_link_state goes on */
        p->dirty = true;
    } else if (wp_link_is_transient(answer)) {
        p->dirty = true;
        back_off(p);
        if (p->retry_ms >= RETRY_MAX_MS)
            wp_log(WP_LOG_WARN, "redis_refuses", "partition=%s error=%s", p->name, answer->str);
    } else if (answer->type == REDIS_REPLY_ERROR) {
        on_function_error(part, answer->str, false);
    } else if (answer->type != REDIS_REPLY_ARRAY || answer->elements < 3) {
        on_function_error(part, "the function's reply is not that of this convention", false);
    } else if (answer->element[0]->integer == 0) { /* a gap */
        p->pipeline->stats->redis_gaps++;
        if (answer->element[1]->integer < p->acked || answer->element[2]->integer < 0)
            partition_restart(p, "Redis knows less than it had acknowledged");
        else
            p->dirty = true;
    } else if (!apply_answer(part, answer)) {
        on_function_error(part, "the function's records are not those of this convention",
                          answer->element[1]->integer >= part->last);
    } else {
        p->retry_ms = PARTITION_RETRY_MS;
    }
}

static void on_reply(void *ctx, const redisReply *reply, const char *error) {
    struct call *call = ctx;
    (void)error;
    bool whole = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == call->count;
    call->pipeline->calls[call->topic]--;
    for (size_t i = 0; i < call->count; i++) {
        struct part *part = &call->parts[i];
        if (part->p->state == PARTITION_RUNNING && part->epoch == part->p->epoch) {
            part->p->calls--;
            on_answer(part, whole ? reply->element[i] : reply);
        }
        partition_release(part->p);
    }
    if (!call->pipeline->freed) topic_send(call->pipeline, call->topic);
    free(call);
}

/* ---- calls ---- */

/* Decodes the event into the call's body. False: it went to dead-letter instead. */
static bool pack_event(struct partition *p, struct event *event) {
    struct wp_pipeline *pipeline = p->pipeline;
    const struct wp_record_in *record = event->record;
    struct wp_meta meta = {.offset = event->offset,
                           .read_us = event->read_us,
                           .record_age_ms = record->append_time
                                                ? wp_append_clock_age_ms(&pipeline->stats->append_clock,
                                                                         record->timestamp_ms, wp_clock_us())
                                                : -1,
                           .key = record->key,
                           .traceparent = record->traceparent};
    union wp_event decoded;
    struct wp_error error = {0};
    memset(&decoded, 0, sizeof decoded);
    wp_arena_reset(&pipeline->arena);
    if (!wp_wire_decode(pipeline->wire, p->base.topic, record->value, &pipeline->arena, &decoded, &error)) {
        p->handler->pack(&pipeline->body, &meta, &decoded, NULL);
        return true;
    }
    if (p->base.topic == WP_TOPIC_ACQUIRE && decoded.acquire.request_id.len > 0) {
        p->handler->pack(&pipeline->body, &meta, &decoded, error.text);
        return true;
    }
    event->state = EVENT_ANSWERED;
    publish_dead(p, event, wp_str(error.text));
    return false;
}

/* The partition's next events, from `unsent` on, at most so many. Returns how many. */
static uint32_t gather(struct partition *p, uint32_t most, struct part *part) {
    struct wp_buf *body = &p->pipeline->body;
    size_t head = body->len;
    uint32_t count = 0;
    wp_buf_add(body, "\xdd\0\0\0\0", 5); /* array 32; its length follows when it is known */
    while (count < most && p->unsent < p->count) {
        struct event *event = partition_at(p, p->unsent);
        if (event->attempts >= SINGLE_ATTEMPTS && count > 0) break;
        p->unsent++;
        if (event->state != EVENT_QUEUED) continue;
        if (event->attempts < SINGLE_ATTEMPTS && !pack_event(p, event)) continue;
        event->state = EVENT_SENT;
        if (count++ == 0) part->first = event->offset;
        part->last = event->offset;
        if (event->attempts >= SINGLE_ATTEMPTS || event->offset <= p->single_until) break;
        if (body->len > MAX_BODY) break;
    }
    for (int i = 0; i < 4; i++) body->data[head + 1 + (size_t)i] = (char)(count >> (24 - 8 * i));
    return count;
}

static bool may_send(struct partition *p) {
    if (p->state != PARTITION_RUNNING) return false;
    if (p->dirty) {
        if (p->calls > 0 || p->retry_at_us > wp_clock_us()) return false;
        rewind_chain(p);
    }
    return p->unsent < p->count && (p->single_until < 0 || p->calls == 0);
}

static void add_part(struct draft *draft, const struct part *part, size_t from, size_t len) {
    size_t i = draft->count++;
    struct partition *p = part->p;
    draft->parts[i] = *part;
    draft->from[i] = from;
    draft->len[i] = len;
    snprintf(draft->generation[i], sizeof draft->generation[i], "%lld", (long long)p->generation);
    snprintf(draft->prev[i], sizeof draft->prev[i], "%lld", (long long)p->sent);
    snprintf(draft->floor[i], sizeof draft->floor[i], "%lld", (long long)p->floor);
    if (part->last >= part->first) p->sent = part->last;
}

/* The next batch of the partition, if it has one and the call has room. An event that a function failed on
 * goes alone, so that it harms no other. */
static void add_batch(struct draft *draft, struct partition *p) {
    struct wp_pipeline *pipeline = p->pipeline;
    uint32_t batch = (uint32_t)pipeline->config->worker.batch;
    if (draft->alone || draft->count == MAX_PARTS || draft->events >= batch ||
        pipeline->body.len > MAX_BODY || !may_send(p))
        return;
    bool suspect = p->single_until >= 0;
    if (suspect && draft->count > 0) return;
    struct part part = {.p = p, .epoch = p->epoch, .first = 1, .last = 0};
    size_t from = pipeline->body.len;
    uint32_t count = gather(p, batch - draft->events, &part);
    if (count == 0) {
        pipeline->body.len = from;
        return;
    }
    struct event *event = partition_find(p, part.first);
    draft->events += count;
    draft->alone = suspect;
    if (part.last >= p->single_until) p->single_until = -1;
    add_part(draft, &part, from, pipeline->body.len - from);
    if (event->attempts < SINGLE_ATTEMPTS) return;
    /* rule 8: skip it, by dead letter */
    char offset[24];
    int len = snprintf(offset, sizeof offset, "%lld", (long long)part.first);
    pipeline->body.len = from;
    wp_buf_add(&pipeline->body, offset, (size_t)len);
    draft->len[0] = (size_t)len;
    draft->function = "skip";
}

/* False: the link went away in between; what it was to carry goes again when it is back. */
static bool send_draft(struct wp_pipeline *pipeline, enum wp_topic topic, struct draft *draft) {
    enum wp_slot slot = wp_handlers[topic].slot;
    struct wp_str args[5 * MAX_PARTS];
    size_t each = draft->events > 0 ? 5 : 4; /* floors carry no events */
    struct call *call = wp_calloc(1, sizeof *call + draft->count * sizeof call->parts[0]);
    *call = (struct call){.pipeline = pipeline, .topic = topic, .count = draft->count};
    for (size_t i = 0; i < draft->count; i++) {
        struct wp_str *arg = &args[each * i];
        arg[0] = wp_str(draft->parts[i].p->name);
        arg[1] = wp_str(draft->generation[i]);
        arg[2] = wp_str(draft->prev[i]);
        arg[3] = wp_str(draft->floor[i]);
        if (each > 4) arg[4] = (struct wp_str){pipeline->body.data + draft->from[i], draft->len[i]};
        call->parts[i] = draft->parts[i];
    }
    call->parts[0].single = draft->count == 1 && call->parts[0].first == call->parts[0].last;
    if (wp_link_call(pipeline->links[slot], draft->function, args, each * draft->count, on_reply, call)) {
        for (size_t i = 0; i < draft->count; i++) draft->parts[i].p->dirty = true;
        free(call);
        return false;
    }
    pipeline->calls[topic]++;
    for (size_t i = 0; i < draft->count; i++) {
        draft->parts[i].p->calls++;
        draft->parts[i].p->references++;
    }
    return true;
}

/* Another partition begins each call, so that none waits for ever behind the others. */
static void rotate(struct wp_pipeline *pipeline, const struct draft *draft) {
    struct partition *last = draft->parts[draft->count - 1].p, **end = &pipeline->partitions;
    while (*end) end = &(*end)->next;
    if (!last->next) return;
    *end = pipeline->partitions;
    pipeline->partitions = last->next;
    last->next = NULL;
}

void topic_send(struct wp_pipeline *pipeline, enum wp_topic topic) {
    const struct wp_handler *handler = &wp_handlers[topic];
    while (pipeline->calls[topic] < (int)pipeline->config->worker.calls &&
           wp_link_ready(pipeline->links[handler->slot]) && !publisher_is_full(pipeline->publisher)) {
        struct draft draft;
        draft.function = handler->function;
        draft.count = draft.events = 0;
        draft.alone = false;
        wp_buf_reset(&pipeline->body);
        for (struct partition *p = pipeline->partitions; p; p = p->next)
            if (p->base.topic == topic) add_batch(&draft, p);
        if (draft.count == 0 || !send_draft(pipeline, topic, &draft)) return;
        rotate(pipeline, &draft);
    }
}

void topic_tell_floors(struct wp_pipeline *pipeline, enum wp_topic topic) {
    const struct wp_handler *handler = &wp_handlers[topic];
    struct draft draft;
    draft.function = "floors";
    draft.count = draft.events = 0;
    if (!wp_link_ready(pipeline->links[handler->slot])) return;
    for (struct partition *p = pipeline->partitions; p && draft.count < MAX_PARTS; p = p->next) {
        if (p->base.topic != topic || p->state != PARTITION_RUNNING || p->floor <= p->floor_acked ||
            p->calls > 0 || p->dirty)
            continue;
        struct part part = {.p = p, .epoch = p->epoch, .first = 1, .last = 0};
        add_part(&draft, &part, 0, 0);
    }
    if (draft.count > 0) (void)send_draft(pipeline, topic, &draft);
}

/* ---- rule 7 ---- */

struct question {
    struct partition *p;
    unsigned epoch;
    int64_t acked, floor_acked; /* what the partition had been told when it was sent */
};

static void on_verified(void *ctx, const redisReply *reply, const char *error) {
    struct question *question = ctx;
    struct partition *p = question->p;
    (void)error;
    if (p->state == PARTITION_RUNNING && question->epoch == p->epoch && reply &&
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        int64_t applied = reply->element[0]->integer, floor = reply->element[1]->integer;
        int64_t known = applied > floor - 1 ? applied : floor - 1;
        if (known < question->acked || floor < question->floor_acked ||
            reply->element[2]->integer != p->generation)
            partition_restart(p, "Redis knows less than it had acknowledged");
    }
    partition_release(p);
    free(question);
}

void partition_verify(struct partition *p) {
    if (p->state != PARTITION_RUNNING) return;
    const struct wp_str name = wp_str(p->name);
    struct question *question = wp_calloc(1, sizeof *question);
    *question = (struct question){p, p->epoch, p->acked, p->floor_acked};
    if (wp_link_call(p->pipeline->links[p->handler->slot], "positions", &name, 1, on_verified, question)) {
        free(question);
        return;
    }
    p->references++;
}
