/* From chunks of a function's reply to records, and the counts of what was answered. Calls the readers of the
 * concerns (topic_table), wire/ and the publisher. The loop's thread. */
#include "pipeline/records.h"
#include "pipeline/traced.h"
#include "core/clock.h"
#include "core/log.h"
#include "kafka/conf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ATTEMPTS_OF_A_SKIP = 3,
    OVERHEAD_BYTES = 100, /* what Kafka adds to a record at most, its trace header aside */
};

struct records {
    const struct pipeline_context *context;
    struct publisher *publisher;
    struct wp_buf value;   /* scratch: the encoded record */
    struct wp_arena arena; /* scratch: a decoded event */
    int64_t message_max;   /* bytes of the largest record that the producer takes */
};

struct records *records_new(const struct pipeline_context *context, struct publisher *publisher) {
    struct records *records = wp_calloc(1, sizeof *records);
    records->context = context;
    records->publisher = publisher;
    records->message_max = wp_kafka_message_max(context->config);
    return records;
}

void records_free(struct records *records) {
    if (!records) return;
    wp_buf_done(&records->value);
    wp_arena_done(&records->arena);
    free(records);
}

/* ---- publishing ---- */

static void count_assignment(struct wp_stats *stats, const struct wp_assignment *a, struct item *item) {
    item->answers = true;
    if (wp_str_is(a->status, "assigned")) {
        stats->assigned++;
        if (item->partition->row->topic != WP_TOPIC_ACQUIRE) /* the request had waited: by the slot's clock */
            wp_histogram_add(&stats->acquire_to_assignment, (int64_t)(a->startup_time_ms * 1000));
    } else if (wp_str_is(a->status, "rejected")) {
        stats->rejected++;
    } else {
        stats->lost++;
    }
}

static void publish(struct records *records, struct item *item, struct wp_record *record) {
    wp_delivery_published(item->partition->delivery, item->offset);
    item_hold(item);
    record->token = item;
    publisher_send(records->publisher, record);
}

/* True when the record's value leaves no room for its key in what the producer takes. */
static bool is_too_long(const struct records *records, struct wp_str key, struct wp_str trace) {
    size_t bytes = key.len + records->value.len + trace.len;
    return key.len > WP_KEY_MOST || (int64_t)bytes + OVERHEAD_BYTES > records->message_max;
}

static void encode_and_send(struct records *records, struct item *item, const struct wp_reply_record *of) {
    if (of->topic == WP_TOPIC_ASSIGNMENT) count_assignment(records->context->stats, of->fields, item);
    wp_buf_reset(&records->value);
    wp_wire_encode(records->context->wire, of->topic, of->fields, &records->value);
    /* A key beside which the answer might not fit is replaced by the id: an answer is never left out for it.
     */
    bool by_id = of->by_id || of->key.len == 0 || is_too_long(records, of->key, of->trace);
    char trace[WP_TRACE_CONTEXT_MAX];
    struct wp_record record = {.topic = of->topic,
                               .key = by_id ? of->id : of->key,
                               .value = wp_buf_str(&records->value),
                               .trace = traced_answer(item, of, trace),
                               .partition = -1};
    publish(records, item, &record);
}

/* Decodes the item's own event into the arena. */
static enum wp_err decode_own(struct records *records, const struct item *item, union wp_event *ret_event) {
    struct wp_error error;
    memset(ret_event, 0, sizeof *ret_event);
    wp_arena_reset(&records->arena);
    return wp_wire_decode(records->context->wire, item->partition->row->topic, item->record->value,
                          &records->arena, ret_event, &error);
}

/* ---- dead letters ---- */

static void add_header(rd_kafka_headers_t *headers, const char *name, struct wp_str value) {
    rd_kafka_header_add(headers, name, -1, value.ptr, (ssize_t)value.len);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)number);
    add_header(headers, name, (struct wp_str){digits, (size_t)len});
}

static struct wp_record dead_letter(struct records *records, struct item *item, struct wp_str reason,
                                    unsigned attempts) {
    const struct partition *p = item->partition;
    const struct wp_config *config = records->context->config;
    rd_kafka_headers_t *headers = wp_record_in_headers(item->record, 6);
    char *topic = wp_topic_full_name(config, p->row->topic);
    add_header(headers, "topic", wp_str(topic));
    add_number(headers, "partition", p->base.number);
    add_number(headers, "offset", item->offset);
    add_header(headers, "reason", reason);
    add_number(headers, "attempts", attempts);
    /* An acquire may hold a claim, which is secret. */
    bool blank = p->row->topic == WP_TOPIC_ACQUIRE && !config->deadletter.payload;
    if (blank) add_number(headers, "blanked_bytes", (int64_t)item->record->value.len);
    wp_log(WP_LOG_WARN, "dead_letter", "topic=%s partition=%d offset=%lld reason=%.*s", topic, p->base.number,
           (long long)item->offset, (int)reason.len, reason.ptr);
    free(topic);
    return (struct wp_record){.topic = WP_TOPIC_DEAD_LETTER,
                              .key = item->record->key,
                              .value = blank ? (struct wp_str){0} : item->record->value,
                              .headers = headers,
                              .partition = -1,
                              .token = item};
}

void records_dead_letter(struct records *records, struct item *item, struct wp_str reason,
                         unsigned attempts) {
    struct wp_record record = dead_letter(records, item, reason, attempts);
    publish(records, item, &record);
}

void records_replace(struct records *records, struct item *item, const char *reason) {
    if (!item->record) { /* the event has left the window, and will be read again */
        (void)item_delivered(item, true);
        return;
    }
    struct wp_record record = dead_letter(records, item, wp_str(reason), 1);
    wp_delivery_mark_dead(item->partition->delivery, item->generation, item->offset);
    publisher_send(records->publisher, &record); /* with the token of the record that it replaces */
}

/* Every acquire is answered once, also one that is skipped because the function fails on it. */
static void reject_skipped(struct records *records, struct item *item, struct wp_str reason) {
    union wp_event event;
    char text[256];
    if (decode_own(records, item, &event) && event.acquire.request_id.len == 0) return;
    int len =
        snprintf(text, sizeof text, "failed: %.*s; the event is in dead-letter", (int)reason.len, reason.ptr);
    struct wp_assignment rejected = {.request_id = event.acquire.request_id,
                                     .agent_id = event.acquire.agent_id,
                                     .philosophy = event.acquire.philosophy,
                                     .status = WP_STR("rejected"),
                                     .basis = WP_STR("default"),
                                     .reason = {text, (size_t)len}};
    struct wp_reply_record record = {.topic = WP_TOPIC_ASSIGNMENT,
                                     .key = item->record->key,
                                     .id = rejected.request_id,
                                     .trace = traced_text(item),
                                     .fields = &rejected};
    encode_and_send(records, item, &record);
}

static void publish_dead_letter(struct records *records, struct wp_str reason, const struct wp_batch *batch,
                                struct item *item) {
    wp_delivery_mark_dead(item->partition->delivery, item->generation, item->offset);
    records_dead_letter(records, item, reason, batch->skip ? ATTEMPTS_OF_A_SKIP : 1);
    if (batch->skip && item->partition->row->topic == WP_TOPIC_ACQUIRE) reject_skipped(records, item, reason);
}

/* ---- chunks ---- */

struct chunk { /* being published: those of its records that events of the batch up to `applied` wait for */
    struct records *records;
    struct partition *p;
    const struct wp_batch *batch;
    int64_t applied;
    const redisReply *values; /* an array, or NULL */
};

static struct item *find(const struct chunk *chunk, int64_t offset) {
    return wp_delivery_waits(chunk->p->delivery, chunk->batch, chunk->applied, offset);
}

static bool wants(void *ctx, int64_t offset) {
    return find(ctx, offset) != NULL;
}

static bool own(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                struct wp_str *ret_trace) {
    struct chunk *chunk = ctx;
    const struct item *item = find(chunk, offset);
    *ret_key = item->record->key;
    *ret_trace = traced_text(item);
    return decode_own(chunk->records, item, ret_event) == WP_OK;
}

static void take(void *ctx, const struct wp_reply_record *record) {
    struct chunk *chunk = ctx;
    struct item *item = find(chunk, record->offset);
    if (record->topic == WP_TOPIC_DEAD_LETTER)
        publish_dead_letter(chunk->records, record->reason, chunk->batch, item);
    else
        encode_and_send(chunk->records, item, record);
}

static bool value(void *ctx, size_t i, struct wp_str *ret) {
    const redisReply *values = ((struct chunk *)ctx)->values;
    if (!values || i >= values->elements) return false;
    const redisReply *one = values->element[i];
    if (one->type != REDIS_REPLY_STRING && one->type != REDIS_REPLY_NIL) return false;
    *ret = (struct wp_str){one->str, one->len};
    return true;
}

bool records_publish(struct records *records, struct partition *p, const struct wp_batch *batch,
                     int64_t applied, const redisReply *reply) {
    bool has_values = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    const redisReply *chunk = has_values ? reply->element[0] : reply;
    struct chunk context = {records, p, batch, applied, has_values ? reply->element[1] : NULL};
    const struct wp_reply_sink sink = {&context, wants, own, take, value};
    if (chunk->type != REDIS_REPLY_STRING) return false;
    return p->row->reply((struct wp_str){chunk->str, chunk->len}, &sink);
}
