/* Owns the way from a function's answer to records, and their counts. The loop's thread. */
#include "pipeline/records.h"
#include "cache/cache_calls.h"
#include "core/clock.h"
#include "core/log.h"
#include "pool/pool_calls.h"
#include "predictor/usage_calls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 65536, ATTEMPTS_OF_A_SKIP = 3 };

struct records {
    const struct pipeline_context *context;
    struct publisher *publisher;
    struct wp_buf value;   /* scratch: the encoded record */
    struct wp_arena arena; /* scratch: a decoded event */
};

union record { /* as its topic's struct of wire/events.h */
    struct wp_assignment assignment;
    struct wp_command command;
    struct wp_cache_result result;
    struct wp_prediction prediction;
    struct wp_container_event event;
};

struct head { /* what a record is published with */
    struct wp_str id, key, trace;
};

struct records *records_new(const struct pipeline_context *context, struct publisher *publisher) {
    struct records *records = wp_calloc(1, sizeof *records);
    records->context = context;
    records->publisher = publisher;
    return records;
}

void records_free(struct records *records) {
    if (!records) return;
    wp_buf_done(&records->value);
    wp_arena_done(&records->arena);
    free(records);
}

/* ---- the kinds of records (redis/README.md) ---- */

static bool read_assignment(struct wp_unpack *in, union record *r, struct head *head) {
    if (!wp_read_assignment(in, &r->assignment, &head->key, &head->trace)) return false;
    head->id = r->assignment.request_id;
    return true;
}

static void read_head(struct wp_unpack *in, struct head *head) {
    head->key = wp_unpack_str(in);
    head->trace = wp_unpack_str(in);
}

static bool read_command(struct wp_unpack *in, union record *r, struct head *head) {
    read_head(in, head);
    if (!wp_read_command(in, &r->command)) return false;
    head->id = r->command.host;
    head->key.len = 0; /* a command goes by its host */
    return true;
}

static bool read_cache_result(struct wp_unpack *in, union record *r, struct head *head) {
    read_head(in, head);
    if (!wp_read_cache_result(in, &r->result)) return false;
    head->id = r->result.event_id;
    return true;
}

static bool read_prediction(struct wp_unpack *in, union record *r, struct head *head) {
    read_head(in, head);
    if (!wp_read_prediction(in, &r->prediction)) return false;
    head->id = r->prediction.philosophy;
    head->key.len = 0; /* the topic is compacted by philosophy */
    return true;
}

static bool read_event(struct wp_unpack *in, union record *r, struct head *head) {
    read_head(in, head);
    if (!wp_read_container_event(in, &r->event)) return false;
    head->id = r->event.container_id;
    return true;
}

enum { KIND_DEAD = 5, KINDS = 7 };

static const struct kind {
    enum wp_topic topic;
    bool (*read)(struct wp_unpack *in, union record *r,
                 struct head *head); /* false: not of this convention */
} kinds[KINDS] = {
    [1] = {WP_TOPIC_ASSIGNMENT, read_assignment},
    [2] = {WP_TOPIC_COMMAND, read_command},
    [3] = {WP_TOPIC_CACHE_RESULT, read_cache_result},
    [4] = {WP_TOPIC_PREDICTION, read_prediction},
    [6] = {WP_TOPIC_EVENT, read_event},
};

/* ---- publishing ---- */

static void count_assignment(struct wp_stats *stats, const struct wp_assignment *a, struct item *item) {
    item->answers = true;
    if (wp_str_is(a->status, "assigned")) {
        stats->assigned++;
        if (item->partition->row->topic != WP_TOPIC_ACQUIRE) /* it waited: measured by the slot's clock */
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

static void encode_and_send(struct records *records, struct item *item, enum wp_topic topic,
                            const union record *r, const struct head *head) {
    if (topic == WP_TOPIC_ASSIGNMENT) count_assignment(records->context->stats, &r->assignment, item);
    wp_buf_reset(&records->value);
    wp_wire_encode(records->context->wire, topic, r, &records->value);
    /* A key that leaves no room for the answer gives way: the answer matters more. */
    bool by_id = head->key.len == 0 || head->key.len > KEY_BYTES_MAX;
    struct wp_record record = {.topic = topic,
                               .key = by_id ? head->id : head->key,
                               .value = wp_buf_str(&records->value),
                               .traceparent = head->trace,
                               .partition = -1};
    publish(records, item, &record);
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
    bool blank = p->row->topic == WP_TOPIC_ACQUIRE && !config->deadletter.payload; /* a claim may be in it */
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
    if (!item->record) { /* its event was forgotten, and will be handled again */
        (void)item_delivered(item, true);
        return;
    }
    struct wp_record record = dead_letter(records, item, wp_str(reason), 1);
    wp_delivery_mark_dead(item->partition->delivery, item->generation, item->offset);
    publisher_send(records->publisher, &record); /* in the place of the answer: with its token */
}

/* An acquire has one answer, also when the function fails on it. */
static void reject_skipped(struct records *records, struct item *item, struct wp_str reason) {
    union wp_event event;
    struct wp_error error;
    char text[256];
    memset(&event, 0, sizeof event);
    wp_arena_reset(&records->arena);
    enum wp_err err = wp_wire_decode(records->context->wire, WP_TOPIC_ACQUIRE, item->record->value,
                                     &records->arena, &event, &error);
    if (err && event.acquire.request_id.len == 0) return;
    int len =
        snprintf(text, sizeof text, "failed: %.*s; the event is in dead-letter", (int)reason.len, reason.ptr);
    union record r = {.assignment = {.request_id = event.acquire.request_id,
                                     .agent_id = event.acquire.agent_id,
                                     .philosophy = event.acquire.philosophy,
                                     .status = WP_STR("rejected"),
                                     .basis = WP_STR("default"),
                                     .reason = {text, (size_t)len}}};
    struct head head = {
        .id = event.acquire.request_id, .key = item->record->key, .trace = item->record->traceparent};
    encode_and_send(records, item, WP_TOPIC_ASSIGNMENT, &r, &head);
}

static bool publish_dead_letter(struct records *records, struct wp_unpack *in, const struct wp_batch *batch,
                                struct item *item) {
    struct head head;
    read_head(in, &head);
    struct wp_str reason = wp_unpack_str(in);
    if (in->failed) return false;
    wp_delivery_mark_dead(item->partition->delivery, item->generation, item->offset);
    records_dead_letter(records, item, reason, batch->skip ? ATTEMPTS_OF_A_SKIP : 1);
    if (batch->skip && item->partition->row->topic == WP_TOPIC_ACQUIRE) reject_skipped(records, item, reason);
    return true;
}

/* ---- chunks ---- */

/* One record; `in` stands at its kind. item: NULL when no event of the batch waits for it. */
static bool publish_one(struct records *records, struct wp_unpack *in, uint32_t fields,
                        const struct wp_batch *batch, struct item *item) {
    if (fields < 3) return false;
    int64_t number = wp_unpack_int(in);
    if (!item) {
        for (uint32_t i = 1; i < fields; i++) wp_unpack_skip(in);
        return !in->failed;
    }
    if (number == KIND_DEAD) return publish_dead_letter(records, in, batch, item);
    const struct kind *kind = number > 0 && number < KINDS ? &kinds[number] : NULL;
    union record r;
    struct head head = {0};
    memset(&r, 0, sizeof r);
    if (!kind || !kind->read || !kind->read(in, &r, &head)) return false;
    encode_and_send(records, item, kind->topic, &r, &head);
    return true;
}

bool records_publish(struct records *records, struct partition *p, const struct wp_batch *batch,
                     int64_t applied, struct wp_str chunk) {
    struct wp_unpack in = wp_unpack(chunk);
    uint32_t count = wp_unpack_array(&in);
    struct wp_unpack offsets =
        in; /* the first value: of each record the event's offset; the records follow */
    wp_unpack_skip(&in);
    if (wp_unpack_array(&offsets) + 1 != count) return false;
    for (uint32_t i = 1; i < count && !in.failed; i++) {
        uint32_t fields = wp_unpack_array(&in);
        struct item *item = wp_delivery_waits(p->delivery, batch, applied, wp_unpack_int(&offsets));
        if (!publish_one(records, &in, fields, batch, item)) return false;
    }
    return !in.failed;
}
