/* The Kafka source against a real Kafka: where partitions start, pauses, restarts under load, groups,
 * commits. */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdlib.h>
#include "bus/admin.h"
#include "support/bus_reader.h"
#include "support/kafka_server.h"

static struct kafka_server
    server; /* of the runner; the tests are processes of their own and know its address */

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    kafka_server_start(&server);
    setenv("TEST_KAFKA", server.bootstrap, 1);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    kafka_server_stop(&server);
}

TestSuite(source, .timeout = 60);

#define PARTS (3 * WP_TOPICS_IN) /* bus_config makes three partitions of a topic */

static const struct wp_tp first = {WP_TOPIC_ACQUIRE, 0};

static void prepare(struct reader *reader, uv_loop_t *loop, const char *name) {
    struct wp_error error;
    reader_open(reader, loop, getenv("TEST_KAFKA"), name);
    cr_assert_eq(wp_admin_ensure_topics(&reader->config, 10000, &error), WP_OK, "%s", error.text);
}

static void end_loop(uv_loop_t *loop) {
    uv_run(loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(loop), 0);
}

Test(source, fetches_nothing_before_the_start_and_begins_where_it_is_told) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "start");
    reader.manual = true;
    bus_fill(&reader.config, first.topic, first.partition, 100);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader_owned(&reader) == PARTS, 15);
    cr_expect_eq(reader.stats.partitions, PARTS);
    bus_run_for(&loop, 500);
    cr_expect_eq(reader.messages, 0);
    reader_start(&reader, first, 40);
    RUN_UNTIL(&loop, reader.messages >= 60, 10);
    bus_run_for(&loop, 200);
    cr_expect_eq(reader.messages, 60);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    reader_start(&reader, first, RD_KAFKA_OFFSET_BEGINNING);
    RUN_UNTIL(&loop, reader.messages >= 160, 10);
    cr_expect_eq(reader_part(&reader, first)->expected, 100);
    reader_close(&reader);
    end_loop(&loop);
}

/* ---- pauses ---- */

static void pause_now_and_then(struct reader *reader, struct reader_part *part,
                               const rd_kafka_message_t *message) {
    (void)message;
    if (part->messages % 997 != 0) return;
    part->paused = true;
    wp_source_pause(reader->source, part->tp);
    wp_source_pause(reader->source, part->tp); /* idempotent */
}

static void resume_all(uv_timer_t *timer) {
    struct reader *reader = timer->data;
    for (size_t i = 0; i < reader->part_count; i++) {
        if (!reader->parts[i].started) continue;
        reader->parts[i].paused = false;
        wp_source_resume(reader->source, reader->parts[i].tp); /* paused or not */
    }
}

Test(source, pauses_and_resumes_under_load_lose_and_double_nothing) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "pause");
    for (int p = 0; p < 2; p++) bus_fill(&reader.config, first.topic, p, 100000);
    reader.on_message = pause_now_and_then;
    reader_subscribe(&reader);
    uv_timer_t timer = {.data = &reader};
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, resume_all, 1, 1);
    RUN_UNTIL(&loop, reader.messages >= 200000, 30);
    uv_close((uv_handle_t *)&timer, NULL);
    bus_run_for(&loop, 200);
    cr_expect_eq(reader.messages, 200000);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    reader_close(&reader);
    end_loop(&loop);
}

/* ---- starting again ---- */

static void start_again_now_and_then(struct reader *reader, struct reader_part *part,
                                     const rd_kafka_message_t *message) {
    if (part->messages % 1511 != 0 || reader->looks > 200) return;
    reader->looks++; /* the number of restarts */
    reader_start(reader, part->tp, message->offset * 7 % 19000);
}

Test(source, a_partition_started_again_under_load_hands_over_nothing_stale) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "again");
    for (int p = 0; p < 3; p++) bus_fill(&reader.config, first.topic, p, 20000);
    reader.on_message = start_again_now_and_then;
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader.looks > 200, 30);
    for (int p = 0; p < 3; p++)
        RUN_UNTIL(&loop, reader_part(&reader, (struct wp_tp){WP_TOPIC_ACQUIRE, p})->expected == 20000, 10);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    reader_close(&reader);
    end_loop(&loop);
}

Test(source, an_offset_that_does_not_exist_is_reported_and_the_partition_can_be_started_again) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "range");
    reader.manual = true;
    struct wp_tp other = {WP_TOPIC_ACQUIRE, 1};
    bus_fill(&reader.config, first.topic, 0, 50);
    bus_fill(&reader.config, first.topic, 1, 50);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader_owned(&reader) == PARTS, 15);
    reader_start(&reader, other, 0);
    reader_start(&reader, first, 1000);
    RUN_UNTIL(&loop, reader.out_of_range == 1 && reader.messages == 50, 15);
    cr_expect_neq(reader.out_of_range_why[0], '\0');
    reader_start(&reader, first, 10);
    RUN_UNTIL(&loop, reader.messages == 90, 15);
    bus_run_for(&loop, 200);
    bus_fill(&reader.config, first.topic, 1, 5); /* the other one went on where it was */
    RUN_UNTIL(&loop, reader.messages == 95, 15);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    cr_expect_eq(reader.out_of_range, 1);
    reader_close(&reader);
    end_loop(&loop);
}
