/* The test's side of a consumer. Everything on the test's thread. */
#include "support/kafka_reader.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "kafka/admin.h"

void bus_config(struct wp_config *config, const char *bootstrap, const char *name) {
    struct wp_error error;
    char prefix[128];
    snprintf(prefix, sizeof(prefix), "%s.%lld.", name, (long long)getpid());
    wp_config_init(config);
    cr_assert(!wp_config_set(config, "kafka.bootstrap.servers", bootstrap, &error), "%s", error.text);
    cr_assert(!wp_config_set(config, "kafka.group.id", prefix, &error), "%s", error.text);
    cr_assert(!wp_config_set(config, "topics.prefix", prefix, &error), "%s", error.text);
    cr_assert(!wp_config_set(config, "topics.partitions", "3", &error), "%s", error.text);
}

void bus_fill(const struct wp_config *config, enum wp_topic topic, int32_t partition, int count) {
    struct wp_error error;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, wp_kafka_conf(config, false, &error), NULL, 0);
    cr_assert(rk);
    char *name = wp_topic_full_name(config, topic);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, name, NULL);
    for (int i = 0; i < count; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "%d", i);
        while (rd_kafka_produce(rkt, partition, RD_KAFKA_MSG_F_COPY, text, (size_t)len, NULL, 0, NULL))
            rd_kafka_poll(rk, 20);
    }
    cr_assert_eq(rd_kafka_flush(rk, WAIT_LIMIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
    free(name);
}

void bus_run_for(uv_loop_t *loop, int ms) {
    uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000u;
    while (uv_hrtime() < end) loop_turn(loop);
}

struct reader_part *reader_part(struct reader *reader, struct wp_tp tp) {
    for (size_t i = 0; i < reader->part_count; i++) {
        struct reader_part *part = &reader->parts[i];
        if (part->tp.topic == tp.topic && part->tp.partition == tp.partition) return part;
    }
    cr_assert_lt(reader->part_count, READER_PARTS);
    struct reader_part *part = &reader->parts[reader->part_count++];
    *part = (struct reader_part){.tp = tp, .expected = -1};
    return part;
}

size_t reader_owned(const struct reader *reader) {
    size_t count = 0;
    for (size_t i = 0; i < reader->part_count; i++) count += reader->parts[i].assigned;
    return count;
}

void reader_start(struct reader *reader, struct wp_tp tp, int64_t offset) {
    struct wp_error error;
    struct reader_part *part = reader_part(reader, tp);
    part->started = true;
    part->paused = false;
    part->expected = offset >= 0 ? offset : -1;
    cr_assert_eq(wp_consumer_start(reader->consumer, tp, offset, &error), WP_OK, "%s", error.text);
}

static void assigned(void *ctx, const struct wp_tp *list, size_t count) {
    struct reader *reader = ctx;
    for (size_t i = 0; i < count; i++) {
        struct reader_part *part = reader_part(reader, list[i]);
        cr_expect_not(part->assigned);
        part->assigned = true;
        part->started = part->paused = false;
    }
    if (!reader->manual) wp_consumer_look(reader->consumer, list, count);
}

static void revoked(void *ctx, const struct wp_tp *list, size_t count, bool lost) {
    struct reader *reader = ctx;
    reader->revocations++;
    for (size_t i = 0; i < count; i++) {
        struct reader_part *part = reader_part(reader, list[i]);
        cr_expect(part->assigned);
        if (reader->commit_on_revoke && !lost && part->expected >= 0) {
            struct wp_error error;
            enum wp_err err =
                wp_consumer_commit_now(reader->consumer, &list[i], &part->expected, 1, WAIT_LIMIT_MS, &error);
            cr_expect_eq(err, WP_OK, "%s", error.text);
        }
        part->assigned = part->started = false;
    }
}

static void message(void *ctx, struct wp_tp tp, rd_kafka_message_t *message) {
    struct reader *reader = ctx;
    struct reader_part *part = reader_part(reader, tp);
    if (!part->assigned || !part->started || part->paused) reader->unexpected++;
    if (part->expected >= 0 && message->offset != part->expected) reader->wrong_offsets++;
    part->expected = message->offset + 1;
    part->messages++;
    reader->messages++;
    reader->last_batch_messages++;
    if (reader->on_message) reader->on_message(reader, part, message);
    rd_kafka_message_destroy(message);
}

static void batch_end(void *ctx) {
    struct reader *reader = ctx;
    reader->batches++;
    reader->last_batch_messages = 0;
}

static void out_of_range(void *ctx, struct wp_tp tp, const char *why) {
    struct reader *reader = ctx;
    reader->out_of_range++;
    reader_part(reader, tp)->started = false;
    snprintf(reader->out_of_range_why, sizeof(reader->out_of_range_why), "%s", why);
}

static void looked(void *ctx, const struct wp_tp_look *list, size_t count, const char *error) {
    struct reader *reader = ctx;
    reader->looks++;
    snprintf(reader->look_error, sizeof(reader->look_error), "%s", error ? error : "");
    for (size_t i = 0; i < count; i++) {
        struct reader_part *part = reader_part(reader, list[i].tp);
        cr_expect(part->assigned);
        part->look = list[i];
        if (reader->manual) continue;
        if (error) {
            wp_consumer_look(reader->consumer, &list[i].tp, 1);
            continue;
        }
        bool commit = reader->from_commit && list[i].committed >= 0;
        reader_start(reader, list[i].tp, commit ? list[i].committed : list[i].low);
    }
}

static const struct wp_consumer_handler handler = {
    .assigned = assigned,
    .revoked = revoked,
    .message = message,
    .batch_end = batch_end,
    .out_of_range = out_of_range,
    .looked = looked,
};

void reader_open(struct reader *reader, uv_loop_t *loop, const char *bootstrap, const char *name) {
    *reader = (struct reader){.loop = loop};
    bus_config(&reader->config, bootstrap, name);
}

void reader_subscribe(struct reader *reader) {
    struct wp_error error;
    enum wp_err err = wp_consumer_new(&reader->consumer, reader->loop, &reader->config, &reader->stats,
                                      &handler, reader, &error);
    cr_assert_eq(err, WP_OK, "%s", error.text);
    cr_assert_eq(wp_consumer_subscribe(reader->consumer, &error), WP_OK, "%s", error.text);
}

void reader_close(struct reader *reader) {
    wp_consumer_free(reader->consumer);
    reader->consumer = NULL;
    wp_config_done(&reader->config);
    bus_run_for(reader->loop, 50);
}
