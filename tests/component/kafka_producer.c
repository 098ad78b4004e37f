/* The Kafka producer against a real Kafka: every record is reported once, whatever happens to it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "kafka/admin.h"
#include "kafka/conf.h"
#include "kafka/producer.h"
#include "support/kafka_reader.h"
#include "support/kafka_server.h"
#include "support/kafka_shared.h"

TestSuite(producer, .timeout = TEST_LIMIT_S);

#define RECORDS 3000

struct writer {
    uv_loop_t loop;
    struct wp_config config;
    struct wp_stats stats;
    struct wp_producer *producer;
    int reports[RECORDS]; /* by token - 1 */
    size_t delivered, failed;
};

static void on_delivered(void *ctx, void *token, const struct wp_report *report) {
    struct writer *writer = ctx;
    writer->reports[(uintptr_t)token - 1]++;
    if (report->ok)
        writer->delivered++;
    else
        writer->failed++;
}

static void prepare(struct writer *writer, const char *bootstrap, const char *name) {
    struct wp_error error;
    *writer = (struct writer){.delivered = 0};
    uv_loop_init(&writer->loop);
    bus_config(&writer->config, bootstrap, name);
    cr_assert_eq(wp_admin_ensure_topics(&writer->config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
}

static void set(struct writer *writer, const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&writer->config, key, value, &error), WP_OK, "%s", error.text);
}

static void open_sink(struct writer *writer) {
    struct wp_error error;
    enum wp_err err = wp_producer_new(&writer->producer, &writer->loop, &writer->config, &writer->stats,
                                      on_delivered, writer, &error);
    cr_assert_eq(err, WP_OK, "%s", error.text);
}

static void close_sink(struct writer *writer) {
    wp_producer_free(writer->producer);
    uv_run(&writer->loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&writer->loop), 0);
    wp_config_done(&writer->config);
}

static enum wp_err send_one(struct writer *writer, enum wp_topic topic, const char *key, struct wp_str value,
                            uintptr_t token) {
    struct wp_record record = {
        .topic = topic, .key = wp_str(key), .value = value, .partition = -1, .token = (void *)token};
    struct wp_error error;
    enum wp_err err = wp_producer_send(writer->producer, &record, &error);
    if (err) cr_log_info("%s", error.text);
    return err;
}

static void send_all(struct writer *writer, uintptr_t from, uintptr_t to) {
    for (uintptr_t token = from; token <= to; token++)
        cr_assert_eq(send_one(writer, WP_TOPIC_ASSIGNMENT, "key", WP_STR("value"), token), WP_OK);
}

static void each_was_reported_once(const struct writer *writer, size_t count) {
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(writer->reports[i], 1, "record %zu: %d reports", i, writer->reports[i]);
}

/* ---- reading back, with a consumer that is not ours ---- */

struct log_reader {
    rd_kafka_t *rk;
    char *topic;
};

static struct log_reader read_topic(const struct writer *writer, enum wp_topic topic, int32_t partition) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", wp_settings_get(&writer->config.kafka, "bootstrap.servers"),
                      NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "reads-back", NULL, 0);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", NULL, 0);
    struct log_reader reader = {rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0),
                                wp_topic_full_name(&writer->config, topic)};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reader.topic, partition)->offset = 0;
    rd_kafka_assign(reader.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

static void read_end(struct log_reader *reader) {
    rd_kafka_consumer_close(reader->rk);
    rd_kafka_destroy(reader->rk);
    free(reader->topic);
}

static size_t records_in(struct writer *writer, enum wp_topic topic) {
    size_t count = 0;
    struct log_reader reader = read_topic(writer, topic, 0);
    for (int p = 0; p < 3; p++) {
        int64_t low, high;
        /* Refused as long as the broker has not heard that it leads this new partition. */
        RUN_UNTIL(&writer->loop,
                  !rd_kafka_query_watermark_offsets(reader.rk, reader.topic, p, &low, &high, WAIT_LIMIT_MS));
        count += (size_t)(high - low);
    }
    read_end(&reader);
    return count;
}

Test(producer, records_arrive_with_key_value_and_headers_and_are_reported_once) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "plain");
    open_sink(&writer);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "reason", -1, "truncated", -1);
    struct wp_record record = {.topic = WP_TOPIC_DEAD_LETTER,
                               .key = WP_STR("k"),
                               .value = WP_STR("v"),
                               .trace = WP_STR("00-abc-def-01"),
                               .headers = headers,
                               .partition = 2,
                               .token = (void *)(uintptr_t)1};
    cr_assert_eq(wp_producer_send(writer.producer, &record, NULL), WP_OK);
    cr_expect_eq(wp_producer_pending(writer.producer), 1);
    RUN_UNTIL(&writer.loop, writer.delivered == 1);
    cr_expect_eq(wp_producer_pending(writer.producer), 0);
    cr_expect_eq(writer.stats.records[WP_TOPIC_DEAD_LETTER], 1);
    cr_expect_eq(writer.stats.records[WP_TOPIC_ASSIGNMENT], 0);

    struct log_reader reader = read_topic(&writer, WP_TOPIC_DEAD_LETTER, 2);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader.rk, WAIT_LIMIT_MS);
    cr_assert(message && !message->err);
    cr_expect(wp_str_is((struct wp_str){message->payload, message->len}, "v"));
    cr_expect(wp_str_is((struct wp_str){message->key, message->key_len}, "k"));
    rd_kafka_headers_t *got;
    cr_assert_eq(rd_kafka_message_headers(message, &got), 0);
    const void *text;
    size_t size;
    cr_assert_eq(rd_kafka_header_get_last(got, "traceparent", &text, &size), 0);
    cr_expect(wp_str_is((struct wp_str){text, size}, "00-abc-def-01"));
    cr_assert_eq(rd_kafka_header_get_last(got, "reason", &text, &size), 0);
    cr_expect(wp_str_is((struct wp_str){text, size}, "truncated"));
    rd_kafka_message_destroy(message);
    read_end(&reader);
    close_sink(&writer);
}

/* murmur2("21") is -973932308 (Kafka's own test of it): positive part modulo 3 partitions. */
Test(producer, a_key_goes_to_the_partition_that_javas_producer_chooses) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "hash");
    open_sink(&writer);
    int32_t partition = (int32_t)(((uint32_t)-973932308 & 0x7fffffff) % 3);
    cr_assert_eq(send_one(&writer, WP_TOPIC_ASSIGNMENT, "21", WP_STR("v"), 1), WP_OK);
    RUN_UNTIL(&writer.loop, writer.delivered == 1);
    struct log_reader reader = read_topic(&writer, WP_TOPIC_ASSIGNMENT, partition);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader.rk, WAIT_LIMIT_MS);
    cr_assert(message && !message->err);
    rd_kafka_message_destroy(message);
    read_end(&reader);
    close_sink(&writer);
}

Test(producer, a_record_without_a_token_is_written_and_reported_to_nobody) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "token");
    open_sink(&writer);
    struct wp_record record = {.topic = WP_TOPIC_METRICS, .value = WP_STR("v"), .partition = -1};
    cr_assert_eq(wp_producer_send(writer.producer, &record, NULL), WP_OK);
    RUN_UNTIL(&writer.loop, wp_producer_pending(writer.producer) == 0);
    cr_expect_eq(writer.delivered + writer.failed, 0);
    cr_expect_eq(records_in(&writer, WP_TOPIC_METRICS), 1);
    close_sink(&writer);
}

Test(producer, knows_the_partitions_of_its_topics) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "partitions");
    open_sink(&writer);
    cr_expect_eq(wp_producer_partitions(writer.producer, WP_TOPIC_COMMAND), 0);
    RUN_UNTIL(&writer.loop, wp_producer_partitions(writer.producer, WP_TOPIC_COMMAND) == 3);
    close_sink(&writer);
}

/* Hosts and sweeps do not send a record again, so no other one shows that the topic is there. */
Test(producer, a_topic_that_was_not_there_is_no_trouble_once_it_is) {
    struct writer writer = {.delivered = 0};
    struct wp_error error;
    uv_loop_init(&writer.loop);
    bus_config(&writer.config, kafka_shared(), "missing");
    set(&writer, "kafka.topic.metadata.propagation.max.ms", "100");
    open_sink(&writer);
    cr_assert_eq(send_one(&writer, WP_TOPIC_EVENT, "h", WP_STR("x"), 0), WP_OK);
    RUN_UNTIL(&writer.loop, strstr(writer.stats.kafka.reason, "container-event"));
    cr_assert_eq(wp_admin_ensure_topics(&writer.config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    uint64_t began = uv_hrtime();
    RUN_UNTIL(&writer.loop, writer.stats.kafka.ready);
    cr_expect_lt((uv_hrtime() - began) / 1000000000,
                 45); /* earlier than a refusal that nobody repeats is forgotten */
    close_sink(&writer);
}

/* librdkafka refuses such a record at once, and the pipeline would keep it before all others. */
Test(producer, a_record_of_a_topic_that_is_known_to_be_missing_is_reported_as_failed) {
    struct writer writer = {.delivered = 0};
    uv_loop_init(&writer.loop);
    bus_config(&writer.config, kafka_shared(), "gone");
    set(&writer, "kafka.topic.metadata.propagation.max.ms", "100");
    open_sink(&writer);
    cr_assert_eq(send_one(&writer, WP_TOPIC_EVENT, "h", WP_STR("x"), 0), WP_OK);
    RUN_UNTIL(&writer.loop, strstr(writer.stats.kafka.reason, "container-event"));
    cr_assert_eq(send_one(&writer, WP_TOPIC_EVENT, "h", WP_STR("x"), 1), WP_OK);
    cr_assert_eq(send_one(&writer, WP_TOPIC_EVENT, "h", WP_STR("x"), 2), WP_OK);
    cr_expect_eq(writer.failed, 0, "it is reported later: its sender is not done with it");
    RUN_UNTIL(&writer.loop, writer.failed == 2);
    each_was_reported_once(&writer, 2);
    cr_expect_eq(wp_producer_pending(writer.producer), 0);
    cr_expect_neq(send_one(&writer, WP_TOPIC_EVENT, "h", WP_STR("x"), 0), WP_OK, "nobody gets its report");
    close_sink(&writer);
}

Test(producer, a_full_queue_refuses_and_takes_again_later) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "full");
    set(&writer, "kafka.queue.buffering.max.messages", "100");
    open_sink(&writer);
    uintptr_t sent = 0;
    while (sent < RECORDS &&
           send_one(&writer, WP_TOPIC_ASSIGNMENT, "key", WP_STR("value"), sent + 1) == WP_OK)
        sent++;
    cr_assert_eq(sent, 100);
    rd_kafka_headers_t *headers =
        rd_kafka_headers_new(1); /* taken also when it is refused: the sanitizer would tell */
    rd_kafka_header_add(headers, "a", -1, "b", -1);
    struct wp_record record = {.topic = WP_TOPIC_ASSIGNMENT, .headers = headers, .partition = -1};
    cr_expect_eq(wp_producer_send(writer.producer, &record, NULL), WP_ERR_KAFKA);
    RUN_UNTIL(&writer.loop, writer.delivered == 100);
    send_all(&writer, 101, 150);
    cr_expect_eq(wp_producer_flush(writer.producer, WAIT_LIMIT_MS), 0);
    cr_expect_eq(writer.delivered, 150);
    each_was_reported_once(&writer, 150);
    close_sink(&writer);
}

Test(producer, a_record_that_no_broker_would_take_is_refused_for_good) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "large");
    open_sink(&writer);
    static char large[1100000];
    cr_expect_eq(send_one(&writer, WP_TOPIC_DEAD_LETTER, "k", (struct wp_str){large, sizeof(large)}, 1),
                 WP_ERR_DATA);
    cr_expect_eq(wp_producer_pending(writer.producer), 0);
    close_sink(&writer);
}

Test(producer, a_fatal_error_fails_what_is_under_way_once_and_a_new_producer_goes_on) {
    struct writer writer;
    prepare(&writer, kafka_shared(), "fatal");
    set(&writer, "kafka.linger.ms", "5000"); /* they are still queued when the error comes */
    open_sink(&writer);
    rd_kafka_t *before = wp_producer_client(writer.producer);
    send_all(&writer, 1, 500);
    rd_kafka_test_fatal_error(before, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "made by the test");
    cr_expect_eq(send_one(&writer, WP_TOPIC_ASSIGNMENT, "key", WP_STR("v"), 501), WP_ERR_KAFKA);
    (void)wp_producer_flush(writer.producer,
                            0); /* the producer is told of the error here, and builds nothing yet */
    cr_expect_eq(send_one(&writer, WP_TOPIC_ASSIGNMENT, "key", WP_STR("v"), 501), WP_ERR_KAFKA);
    RUN_UNTIL(&writer.loop, writer.failed == 500);
    RUN_UNTIL(&writer.loop, writer.stats.producer_rebuilds == 1 && wp_producer_client(writer.producer));
    send_all(&writer, 501, 600);
    cr_expect_eq(wp_producer_flush(writer.producer, WAIT_LIMIT_MS), 0);
    cr_expect_eq(writer.delivered, 100);
    cr_expect_eq(writer.failed, 500);
    cr_expect_eq(writer.stats.producer_rebuilds, 1);
    cr_expect_eq(writer.stats.produce_errors, 500);
    each_was_reported_once(&writer, 600);
    close_sink(&writer);
}

Test(producer, every_record_is_reported_once_though_the_broker_dies_and_comes_back) {
    struct kafka_server own;
    kafka_server_start(&own);
    struct writer writer;
    prepare(&writer, own.bootstrap, "dies");
    open_sink(&writer);
    send_all(&writer, 1, 1000);
    RUN_UNTIL(&writer.loop, writer.delivered > 0);
    send_all(&writer, 1001, 2000);
    kafka_server_kill(&own);
    send_all(&writer, 2001, 3000);
    bus_run_for(&writer.loop, 500);
    cr_expect_lt(writer.delivered, 3000);
    kafka_server_restart(&own);
    RUN_UNTIL(&writer.loop, wp_producer_pending(writer.producer) == 0);
    each_was_reported_once(&writer, 3000);
    size_t records = records_in(&writer, WP_TOPIC_ASSIGNMENT);
    cr_expect_geq(records, writer.delivered);
    /* librdkafka may give up its idempotence when a connection ends: what was under way has failed then, and
     * the engine sends it again. */
    if (writer.stats.producer_rebuilds == 0) {
        cr_expect_eq(writer.failed, 0);
        cr_expect_eq(records, 3000);
    }
    close_sink(&writer);
    kafka_server_stop(&own);
}

Test(producer, records_that_cannot_be_delivered_in_time_are_reported_as_failed) {
    struct kafka_server own;
    kafka_server_start(&own);
    struct writer writer;
    prepare(&writer, own.bootstrap, "late");
    set(&writer, "kafka.delivery.timeout.ms", "2000");
    set(&writer, "kafka.socket.timeout.ms", "1000");
    open_sink(&writer);
    uintptr_t sent = 0;
    while (writer.delivered == 0) { /* a fresh broker takes its time to give a producer its id */
        send_all(&writer, sent + 1, sent + 1);
        sent++;
        RUN_UNTIL(&writer.loop, writer.delivered + writer.failed == sent);
    }
    kafka_server_pause(&own);
    send_all(&writer, sent + 1, sent + 10);
    cr_expect_eq(wp_producer_flush(writer.producer, 100), 10);
    RUN_UNTIL(&writer.loop, writer.delivered + writer.failed == sent + 10);
    cr_expect_eq(writer.delivered, 1);
    kafka_server_resume(&own);
    send_all(&writer, sent + 11, sent + 11);
    RUN_UNTIL(&writer.loop, writer.delivered + writer.failed == sent + 11);
    each_was_reported_once(&writer, sent + 11);
    close_sink(&writer);
    kafka_server_stop(&own);
}

Test(producer, a_wrong_property_is_an_error_that_names_it) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct wp_config config;
    struct wp_stats stats = {0};
    struct wp_producer *producer;
    struct wp_error error;
    bus_config(&config, "127.0.0.1:1", "wrong");
    cr_assert_eq(wp_config_set(&config, "kafka.enable.idempotence", "true", &error), WP_OK);
    cr_assert_eq(wp_config_set(&config, "kafka.acks", "1", &error), WP_OK);
    cr_expect_eq(wp_producer_new(&producer, &loop, &config, &stats, on_delivered, NULL, &error),
                 WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "acks"), "%s", error.text);
    cr_assert_eq(wp_config_set(&config, "kafka.no.such.thing", "1", &error), WP_OK);
    cr_expect_eq(wp_producer_new(&producer, &loop, &config, &stats, on_delivered, NULL, &error),
                 WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "kafka.no.such.thing"), "%s", error.text);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&loop), 0);
    wp_config_done(&config);
}

/* A broker that does not lead a new partition yet refuses the first of two requests and takes the second;
 * then librdkafka reports both as delivered. */
Test(producer, no_request_overtakes_another_one) {
    struct wp_config config;
    struct wp_error error = {0};
    char value[8] = "";
    size_t size = sizeof value;
    bus_config(&config, "127.0.0.1:1", "one");
    rd_kafka_conf_t *conf = wp_kafka_conf(&config, false, &error);
    cr_assert(conf, "%s", error.text);
    cr_assert_eq(rd_kafka_conf_get(conf, "max.in.flight", value, &size), RD_KAFKA_CONF_OK);
    cr_expect_str_eq(value, "1");
    rd_kafka_conf_destroy(conf);
    wp_config_done(&config);
}

Test(producer, a_property_that_would_lose_answers_is_refused_with_the_reason) {
    static const char *const refused[][2] = {{"kafka.enable.idempotence", "false"},
                                             {"kafka.delivery.report.only.error", "true"},
                                             {"kafka.transactional.id", "one"},
                                             {"kafka.group.instance.id", "one"}};
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct wp_stats stats = {0};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct wp_config config;
        struct wp_producer *producer;
        struct wp_error error = {0};
        bus_config(&config, "127.0.0.1:1", "refused");
        cr_assert_eq(wp_config_set(&config, refused[i][0], refused[i][1], &error), WP_OK);
        cr_expect_eq(wp_producer_new(&producer, &loop, &config, &stats, on_delivered, NULL, &error),
                     WP_ERR_CONFIG, "%s is not refused", refused[i][0]);
        cr_expect(strstr(error.text, refused[i][0]), "%s", error.text);
        wp_config_done(&config);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&loop), 0);
}
