/* The Kafka consumer and producer on librdkafka's mock cluster, which can do what a healthy broker does not.
 */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include "kafka/reader.h"
#include "core/clock.h"
#include "kafka/health.h"
#include "kafka/producer.h"
#include "support/kafka_reader.h"

TestSuite(kafka_faults, .timeout = TEST_LIMIT_S);

#define PARTS (3 * WP_TOPICS_IN)

enum { PRODUCE = 0, LIST_OFFSETS = 2, OFFSET_COMMIT = 8 }; /* the numbers of requests in Kafka's protocol */

static const struct wp_tp first = {WP_TOPIC_ACQUIRE, 0}, second = {WP_TOPIC_ACQUIRE, 1};

struct world {
    uv_loop_t loop;
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *mock;
    struct reader reader;
};

static void begin(struct world *world, const char *name) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof why);
    world->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert(world->owner, "%s", why);
    world->mock = rd_kafka_handle_mock_cluster(world->owner);
    uv_loop_init(&world->loop);
    reader_open(&world->reader, &world->loop, rd_kafka_mock_cluster_bootstraps(world->mock), name);
    for (int i = 0; i < WP_TOPICS; i++) {
        char *topic = wp_topic_full_name(&world->reader.config, (enum wp_topic)i);
        rd_kafka_mock_topic_create(world->mock, topic, 3, 1);
        free(topic);
    }
}

static void end(struct world *world) {
    reader_close(&world->reader);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&world->loop), 0);
    rd_kafka_destroy(world->owner);
}

static void lead(struct world *world, struct wp_tp tp, int32_t broker) {
    char *topic = wp_topic_full_name(&world->reader.config, tp.topic);
    cr_assert_eq(rd_kafka_mock_partition_set_leader(world->mock, topic, tp.partition, broker),
                 RD_KAFKA_RESP_ERR_NO_ERROR);
    free(topic);
}

Test(kafka_faults, a_partition_without_a_leader_keeps_no_other_from_starting) {
    struct world world;
    begin(&world, "leaderless");
    bus_fill(&world.reader.config, first.topic, first.partition, 5);
    bus_fill(&world.reader.config, second.topic, second.partition, 10);
    lead(&world, first, -1);
    reader_subscribe(&world.reader);
    RUN_UNTIL(&world.loop, world.reader.messages == 10);
    RUN_UNTIL(&world.loop, strstr(world.reader.stats.kafka.reason, "no leader"));
    cr_expect(!world.reader.stats.kafka.ready);
    lead(&world, first, 1);
    RUN_UNTIL(&world.loop, world.reader.messages == 15);
    RUN_UNTIL(&world.loop, world.reader.stats.kafka.ready);
    cr_expect_eq(world.reader.wrong_offsets, 0);
    end(&world);
}

Test(kafka_faults, a_commit_that_failed_does_not_count_and_the_next_one_does) {
    struct world world;
    begin(&world, "commit");
    bus_fill(&world.reader.config, first.topic, first.partition, 10);
    reader_subscribe(&world.reader);
    RUN_UNTIL(&world.loop, world.reader.messages == 10 && reader_owned(&world.reader) == PARTS);
    const struct wp_consumer_partition *mine = &reader_part(&world.reader, first)->base;
    rd_kafka_mock_push_request_errors(world.mock, OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE);
    reader_commit(&world.reader, first, 4);
    RUN_UNTIL(&world.loop, !mine->committing);
    cr_expect_neq(mine->committed, 4);
    reader_commit(&world.reader, first, 4);
    RUN_UNTIL(&world.loop, !mine->committing);
    cr_expect_eq(mine->committed, 4);
    end(&world);
}

/* ---- what a broker refuses for ever ---- */

Test(kafka_faults, what_is_refused_for_ever_is_explained_with_what_mends_it) {
    static const struct {
        rd_kafka_resp_err_t err;
        const char *mend;
    } cases[] = {
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "max.message.bytes"},
        {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, "message.timestamp.before.max.ms"},
        {RD_KAFKA_RESP_ERR_INVALID_RECORD, "cleanup.policy"},
        {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "the broker's own log"},
        {RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, "kafka.compression.type"},
    };
    struct wp_config config;
    char text[300];
    wp_config_init(&config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(wp_kafka_fault(cases[i].err), WP_FAULT_REFUSED);
        wp_kafka_explain(text, sizeof text, cases[i].err, &config, "cache-result");
        cr_expect(strstr(text, "topic cache-result: ") && strstr(text, cases[i].mend), "%s", text);
        cr_expect_lt(strlen(text), sizeof text - 1, "%s", text);
    }
    wp_config_done(&config);
}

static void on_delivered(void *ctx, void *token, const struct wp_report *report) {
    (void)ctx;
    (void)token;
    (void)report;
}

static struct wp_producer *open_producer(struct world *world, struct wp_stats *stats) {
    struct wp_producer *producer;
    struct wp_error error;
    cr_assert_eq(
        wp_producer_new(&producer, &world->loop, &world->reader.config, stats, on_delivered, NULL, &error),
        WP_OK, "%s", error.text);
    RUN_UNTIL(&world->loop, wp_producer_partitions(producer, WP_TOPIC_EVENT) == 3);
    return producer;
}

static void end_with(struct world *world, struct wp_producer *producer) {
    wp_producer_free(producer);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&world->loop), 0);
    rd_kafka_destroy(world->owner);
    wp_config_done(&world->reader.config);
}

/* As a broker that is busy, of a topic that was just made: for longer than two seconds. */
Test(kafka_faults, a_reader_waits_until_its_partitions_have_a_leader) {
    enum { REFUSALS = 60 };
    struct world world;
    begin(&world, "no-leader");
    rd_kafka_resp_err_t errors[REFUSALS];
    for (int i = 0; i < REFUSALS; i++) errors[i] = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    rd_kafka_mock_push_request_errors_array(world.mock, LIST_OFFSETS, REFUSALS, errors);
    const enum wp_topic topic = WP_TOPIC_EVENT;
    struct wp_reader tool = {0};
    struct wp_error error;
    cr_expect_eq(
        wp_reader_open(&tool, &world.reader.config, &topic, 1, WP_READ_FROM_END, WAIT_LIMIT_MS, &error),
        WP_OK, "%s", error.text);
    wp_reader_close(&tool);
    end_with(&world, NULL);
}

/* As `warmpool broker`: all its append times are 1234. */
Test(kafka_faults, a_broker_that_says_no_time_is_compared_with_no_clock) {
    struct world world;
    begin(&world, "timeless");
    struct wp_stats stats = {0};
    struct wp_producer *producer = open_producer(&world, &stats);
    struct wp_record record = {
        .topic = WP_TOPIC_EVENT, .key = WP_STR("h"), .value = WP_STR("x"), .partition = -1};
    cr_assert_eq(wp_producer_send(producer, &record, NULL), WP_OK);
    RUN_UNTIL(&world.loop, stats.records[WP_TOPIC_EVENT] == 1);
    cr_expect(!stats.append_clock.measured);
    end_with(&world, producer);
}

/* What hosts, sweeps and metrics send: when it fails nobody sends it again. */
Test(kafka_faults, a_refused_record_that_nobody_sends_again_is_no_trouble_for_ever) {
    struct world world;
    begin(&world, "refused");
    struct wp_stats stats = {0};
    struct wp_producer *producer = open_producer(&world, &stats);
    struct wp_error error;
    struct wp_record record = {
        .topic = WP_TOPIC_EVENT, .key = WP_STR("h"), .value = WP_STR("x"), .partition = -1};
    rd_kafka_mock_push_request_errors(world.mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    cr_assert_eq(wp_producer_send(producer, &record, &error), WP_OK, "%s", error.text);
    RUN_UNTIL(&world.loop, *stats.kafka_troubles[WP_TROUBLE_PRODUCER]);
    cr_expect(strstr(stats.kafka_troubles[WP_TROUBLE_PRODUCER], "container-event"));
    RUN_UNTIL(&world.loop, !*stats.kafka_troubles[WP_TROUBLE_PRODUCER]);
    end_with(&world, producer);
}

/* Reads to the end; the number of records, and the offset of the first one. */
static int read_to_end(struct wp_reader *tool, int64_t *ret_first) {
    int count = 0;
    int64_t until_us = wp_clock_us() + WAIT_LIMIT_MS * INT64_C(1000);
    while (!wp_reader_caught_up(tool) && wp_clock_us() < until_us) {
        rd_kafka_message_t *message = wp_reader_next(tool, 100);
        if (!message) continue;
        if (count++ == 0) *ret_first = message->offset;
        rd_kafka_message_destroy(message);
    }
    return count;
}

Test(kafka_faults, a_reader_of_the_last_while_reads_no_more_than_the_last_records) {
    struct world world;
    begin(&world, "last");
    bus_fill(&world.reader.config, WP_TOPIC_EVENT, 1, 300);
    struct wp_reader tool = {0};
    struct wp_error error;
    int64_t offset = -1;
    cr_assert_eq(
        wp_reader_open_since(&tool, &world.reader.config, WP_TOPIC_EVENT, 0, 50, WAIT_LIMIT_MS, &error),
        WP_OK, "%s", error.text);
    cr_expect_eq(read_to_end(&tool, &offset), 50);
    cr_expect_eq(offset, 250);
    wp_reader_close(&tool);
    end_with(&world, NULL);
}

Test(kafka_faults, a_reader_that_is_far_behind_skips_to_the_last_records) {
    struct world world;
    begin(&world, "behind");
    bus_fill(&world.reader.config, WP_TOPIC_EVENT, 1, 300);
    const enum wp_topic topic = WP_TOPIC_EVENT;
    struct wp_reader tool = {0};
    struct wp_error error;
    int64_t offset = -1;
    cr_assert_eq(
        wp_reader_open(&tool, &world.reader.config, &topic, 1, WP_READ_FROM_BEGINNING, WAIT_LIMIT_MS, &error),
        WP_OK, "%s", error.text);
    rd_kafka_message_t *message = NULL;
    for (int i = 0; i < WAIT_LIMIT_MS / 100 && !message; i++) message = wp_reader_next(&tool, 100);
    cr_assert(message);
    cr_expect_eq(message->offset, 0);
    rd_kafka_message_destroy(message);
    wp_reader_skip(&tool, 400, WAIT_LIMIT_MS); /* it is not that far behind */
    wp_reader_skip(&tool, 10, WAIT_LIMIT_MS);
    cr_expect_eq(read_to_end(&tool, &offset), 10);
    cr_expect_eq(offset, 290);
    wp_reader_close(&tool);
    end_with(&world, NULL);
}
