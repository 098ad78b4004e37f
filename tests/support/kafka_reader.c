/* The test's side of a consumer. Everything on the test's thread. */
#include "support/kafka_reader.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "kafka/admin.h"
#include "kafka/conf.h"

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
    struct reader_part *part = reader_part(reader, tp);
    cr_assert(part->assigned);
    part->started = true;
    part->paused = false;
    part->expected = offset >= 0 ? offset : -1;
    wp_consumer_start(reader->consumer, &part->base, offset);
}

void reader_query(struct reader *reader, struct wp_tp tp) {
    struct wp_consumer_partition *p = &reader_part(reader, tp)->base;
    wp_consumer_query_offsets(reader->consumer, &p, 1);
}

void reader_commit(struct reader *reader, struct wp_tp tp, int64_t offset) {
    struct wp_commit commit = {&reader_part(reader, tp)->base, offset};
    wp_consumer_commit(reader->consumer, &commit, 1);
}

static struct reader_part *of(struct wp_consumer_partition *base) {
    return (struct reader_part *)base;
}

static struct wp_consumer_partition *assigned(void *ctx, enum wp_topic topic, int32_t number) {
    struct reader_part *part = reader_part(ctx, (struct wp_tp){topic, number});
    cr_expect_not(part->assigned);
    part->assigned = true;
    part->started = part->paused = false;
    return &part->base;
}

static void rebalanced(void *ctx) {
    struct reader *reader = ctx;
    for (size_t i = 0; i < reader->part_count; i++) {
        struct reader_part *part = &reader->parts[i];
        if (part->assigned && !part->started && !reader->manual) reader_query(reader, part->tp);
    }
}

static void revoked(void *ctx, struct wp_consumer_partition *const *list, size_t count, bool lost) {
    struct reader *reader = ctx;
    reader->revocations++;
    for (size_t i = 0; i < count; i++) {
        struct reader_part *part = of(list[i]);
        cr_expect(part->assigned);
        if (reader->commit_on_revoke && !lost && part->expected >= 0)
            reader_commit(reader, part->tp, part->expected);
        part->assigned = part->started = false;
        if (reader->start_on_revoke) wp_consumer_start(reader->consumer, list[i], 0);
    }
}

static void record(void *ctx, struct wp_consumer_partition *base, struct wp_record_in *record) {
    struct reader *reader = ctx;
    struct reader_part *part = of(base);
    if (!part->assigned || !part->started || part->paused) reader->unexpected++;
    if (part->expected >= 0 && record->offset != part->expected) reader->wrong_offsets++;
    if (base->position != record->offset + 1) reader->wrong_offsets++;
    part->expected = record->offset + 1;
    part->messages++;
    reader->messages++;
    reader->last_batch_messages++;
    if (reader->on_message) reader->on_message(reader, part, record);
    wp_record_in_free(record);
}

static void end_reached(void *ctx, struct wp_consumer_partition *base) {
    struct reader *reader = ctx;
    struct reader_part *part = of(base);
    if (base->position < part->expected || part->paused) reader->unexpected++;
    part->expected = base->position;
    reader->ends++;
}

static void batch_end(void *ctx) {
    struct reader *reader = ctx;
    reader->batches++;
    reader->last_batch_messages = 0;
}

static void out_of_range(void *ctx, struct wp_consumer_partition *base, const char *why) {
    struct reader *reader = ctx;
    reader->out_of_range++;
    of(base)->started = false;
    snprintf(reader->out_of_range_why, sizeof(reader->out_of_range_why), "%s", why);
}

static void offsets(void *ctx, struct wp_consumer_partition *base, const char *error) {
    struct reader *reader = ctx;
    struct reader_part *part = of(base);
    reader->queries++;
    snprintf(reader->query_error, sizeof(reader->query_error), "%s", error ? error : "");
    cr_expect(part->assigned);
    if (reader->manual) return;
    if (error) {
        reader_query(reader, part->tp);
        return;
    }
    if (part->started) return;
    bool commit = reader->from_commit && base->committed >= 0;
    reader_start(reader, part->tp, commit ? base->committed : base->low);
}

static const struct wp_consumer_handler handler = {
    .assigned = assigned,
    .rebalanced = rebalanced,
    .revoked = revoked,
    .record = record,
    .end_reached = end_reached,
    .batch_end = batch_end,
    .out_of_range = out_of_range,
    .offsets = offsets,
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

static void on_closed(void *ctx) {
    *(bool *)ctx = true;
}

void reader_close(struct reader *reader) {
    bool closed = false;
    wp_consumer_close(reader->consumer, on_closed, &closed);
    RUN_UNTIL(reader->loop, closed);
    wp_consumer_free(reader->consumer);
    reader->consumer = NULL;
    wp_config_done(&reader->config);
    bus_run_for(reader->loop, 50);
}
