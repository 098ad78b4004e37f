/* The Kafka consumer against a real Kafka: where partitions start, pauses, restarts under load, groups,
 * commits. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "kafka/admin.h"
#include "support/kafka_reader.h"
#include "support/kafka_server.h"
#include "support/kafka_shared.h"

TestSuite(consumer, .timeout = TEST_LIMIT_S);

#define PARTS (3 * WP_TOPICS_IN) /* bus_config makes three partitions of a topic */

static const struct wp_tp first = {WP_TOPIC_ACQUIRE, 0};

static void prepare(struct reader *reader, uv_loop_t *loop, const char *name) {
    struct wp_error error;
    reader_open(reader, loop, kafka_shared(), name);
    cr_assert_eq(wp_admin_ensure_topics(&reader->config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
}

static void end_loop(uv_loop_t *loop) {
    uv_run(loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(loop), 0);
}

Test(consumer, fetches_nothing_before_the_start_and_begins_where_it_is_told) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "start");
    reader.manual = true;
    bus_fill(&reader.config, first.topic, first.partition, 100);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader_owned(&reader) == PARTS);
    cr_expect_eq(reader.stats.partitions, PARTS);
    bus_run_for(&loop, 500);
    cr_expect_eq(reader.messages, 0);
    reader_start(&reader, first, 40);
    RUN_UNTIL(&loop, reader.messages >= 60);
    bus_run_for(&loop, 200);
    cr_expect_eq(reader.messages, 60);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    reader_start(&reader, first, RD_KAFKA_OFFSET_BEGINNING);
    RUN_UNTIL(&loop, reader.messages >= 160);
    cr_expect_eq(reader_part(&reader, first)->expected, 100);
    reader_close(&reader);
    end_loop(&loop);
}

/* ---- pauses ---- */

static void pause_now_and_then(struct reader *reader, struct reader_part *part,
                               const struct wp_record_in *record) {
    (void)record;
    if (part->messages % 997 != 0) return;
    part->paused = true;
    wp_consumer_pause(reader->consumer, &part->base);
    wp_consumer_pause(reader->consumer, &part->base); /* idempotent */
}

static void resume_all(uv_timer_t *timer) {
    struct reader *reader = timer->data;
    for (size_t i = 0; i < reader->part_count; i++) {
        if (!reader->parts[i].started) continue;
        reader->parts[i].paused = false;
        wp_consumer_resume(reader->consumer, &reader->parts[i].base); /* paused or not */
    }
}

Test(consumer, pauses_and_resumes_under_load_lose_and_double_nothing) {
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
    RUN_UNTIL(&loop, reader.messages >= 200000);
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
                                     const struct wp_record_in *record) {
    if (part->messages % 1511 != 0 || reader->restarts > 200) return;
    reader->restarts++;
    reader_start(reader, part->tp, record->offset * 7 % 19000);
}

Test(consumer, a_partition_started_again_under_load_hands_over_nothing_stale) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "again");
    for (int p = 0; p < 3; p++) bus_fill(&reader.config, first.topic, p, 20000);
    reader.on_message = start_again_now_and_then;
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader.restarts > 200);
    for (int p = 0; p < 3; p++)
        RUN_UNTIL(&loop, reader_part(&reader, (struct wp_tp){WP_TOPIC_ACQUIRE, p})->expected == 20000);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    reader_close(&reader);
    end_loop(&loop);
}

Test(consumer, an_offset_that_does_not_exist_is_reported_and_the_partition_can_be_started_again) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "range");
    reader.manual = true;
    struct wp_tp other = {WP_TOPIC_ACQUIRE, 1};
    bus_fill(&reader.config, first.topic, 0, 50);
    bus_fill(&reader.config, first.topic, 1, 50);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader_owned(&reader) == PARTS);
    reader_start(&reader, other, 0);
    reader_start(&reader, first, 1000);
    RUN_UNTIL(&loop, reader.out_of_range == 1 && reader.messages == 50);
    cr_expect_neq(reader.out_of_range_why[0], '\0');
    reader_start(&reader, first, 10);
    RUN_UNTIL(&loop, reader.messages == 90);
    bus_run_for(&loop, 200);
    bus_fill(&reader.config, first.topic, 1, 5); /* the other one went on where it was */
    RUN_UNTIL(&loop, reader.messages == 95);
    cr_expect_eq(reader.wrong_offsets, 0);
    cr_expect_eq(reader.unexpected, 0);
    cr_expect_eq(reader.out_of_range, 1);
    reader_close(&reader);
    end_loop(&loop);
}

/* ---- groups and commits ---- */

static void wait_for_all(struct reader *reader) {
    RUN_UNTIL(reader->loop, reader_owned(reader) == PARTS && reader_part(reader, first)->started);
}

Test(consumer, a_commit_is_where_the_next_member_goes_on) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "commit");
    bus_fill(&reader.config, first.topic, first.partition, 100);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader.messages == 100);
    reader_commit(&reader, first, 30);
    const struct wp_consumer_partition *mine = &reader_part(&reader, first)->base;
    cr_expect(mine->committing);
    RUN_UNTIL(&loop, !mine->committing);
    cr_expect_eq(mine->committed, 30);
    reader_commit(&reader, first, 60);
    reader_close(&reader);

    struct reader next;
    reader_open(&next, &loop, kafka_shared(), "commit");
    next.manual = true;
    reader_subscribe(&next);
    RUN_UNTIL(&loop, reader_owned(&next) == PARTS);
    struct wp_tp untouched = {WP_TOPIC_CACHE, 1};
    cr_expect_null(wp_consumer_cluster_id(next.consumer));
    reader_query(&next, first);
    reader_query(&next, untouched);
    RUN_UNTIL(&loop, next.queries == 2);
    cr_expect_str_eq(next.query_error, "");
    cr_assert_not_null(wp_consumer_cluster_id(next.consumer));
    cr_expect_eq(strlen(wp_consumer_cluster_id(next.consumer)), 22);
    const struct wp_consumer_partition *p = &reader_part(&next, first)->base;
    cr_expect_eq(p->committed, 60);
    cr_expect_eq(p->low, 0);
    cr_expect_eq(p->high, 100);
    p = &reader_part(&next, untouched)->base;
    cr_expect_eq(p->committed, -1);
    cr_expect_eq(p->high, 0);
    RUN_UNTIL(&loop, next.stats.lag[WP_TOPIC_ACQUIRE] == 100); /* not started: all of it is to be read */
    reader_start(&next, first, 60);
    RUN_UNTIL(&loop, next.messages == 40);
    RUN_UNTIL(&loop, next.stats.lag[WP_TOPIC_ACQUIRE] == 0);
    cr_expect_eq(next.wrong_offsets, 0);
    reader_close(&next);
    end_loop(&loop);
}

/* Without worker.id the coordinator would know a member that left, and hand over just as fast; with it the
 * member never leaves: a restart within the session changes nothing for the others. */
Test(consumer, a_worker_with_an_id_comes_back_to_its_partitions_within_the_session) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader one, again;
    struct wp_error error;
    prepare(&one, &loop, "static");
    reader_open(&again, &loop, kafka_shared(), "static");
    cr_assert_eq(wp_config_set(&one.config, "worker.id", "w1", &error), WP_OK);
    cr_assert_eq(wp_config_set(&again.config, "worker.id", "w1", &error), WP_OK);
    cr_assert_eq(wp_config_set(&one.config, "kafka.session.timeout.ms", "90000", &error), WP_OK);
    reader_subscribe(&one);
    wait_for_all(&one);
    reader_close(&one);
    cr_expect_eq(one.revocations, 1);
    uint64_t left = uv_hrtime();
    reader_subscribe(&again);
    RUN_UNTIL(&loop, reader_owned(&again) == PARTS);
    cr_expect_lt(uv_hrtime() - left, 60 * UINT64_C(1000000000), "it had to wait for the end of the session");
    reader_close(&again);
    end_loop(&loop);
}

static void two_members_share(const char *name, const char *strategy) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader one, two;
    struct wp_error error;
    prepare(&one, &loop, name);
    reader_open(&two, &loop, kafka_shared(), name);
    struct reader *both[] = {&one, &two};
    for (int i = 0; i < 2; i++) {
        both[i]->from_commit = both[i]->commit_on_revoke = true;
        cr_assert_eq(wp_config_set(&both[i]->config, "kafka.partition.assignment.strategy", strategy, &error),
                     WP_OK);
    }
    bus_fill(&one.config, WP_TOPIC_ACQUIRE, 0, 1000);
    bus_fill(&one.config, WP_TOPIC_ACQUIRE, 2, 1000);
    reader_subscribe(&one);
    RUN_UNTIL(&loop, one.messages == 2000);
    reader_subscribe(&two);
    RUN_UNTIL(&loop, reader_owned(&two) > 0 && reader_owned(&one) + reader_owned(&two) == PARTS);
    cr_expect_gt(reader_owned(&one), 0);
    cr_expect_gt(one.revocations, 0);
    bus_fill(&one.config, WP_TOPIC_ACQUIRE, 0, 500);
    bus_fill(&one.config, WP_TOPIC_ACQUIRE, 2, 500);
    RUN_UNTIL(&loop, one.messages + two.messages == 3000); /* committed at the revocation: none twice */
    reader_close(&one);
    RUN_UNTIL(&loop, reader_owned(&two) == PARTS);
    bus_fill(&two.config, WP_TOPIC_ACQUIRE, 0, 500);
    RUN_UNTIL(&loop, one.messages + two.messages == 3500);
    bus_run_for(&loop, 300);
    cr_expect_eq(one.messages + two.messages, 3500);
    cr_expect_eq(one.wrong_offsets + two.wrong_offsets, 0);
    cr_expect_eq(one.unexpected + two.unexpected, 0);
    reader_close(&two);
    end_loop(&loop);
}

Test(consumer, two_members_share_the_partitions_and_hand_them_over) {
    two_members_share("share", "range");
}

Test(consumer, one_that_stops_adopts_no_further_partition) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader one, two;
    prepare(&one, &loop, "stops");
    reader_open(&two, &loop, kafka_shared(), "stops");
    reader_subscribe(&one);
    RUN_UNTIL(&loop, reader_owned(&one) == PARTS);
    reader_subscribe(&two);
    RUN_UNTIL(&loop, reader_owned(&two) > 0 && reader_owned(&one) + reader_owned(&two) == PARTS);
    uint64_t revoked = one.revocations;
    wp_consumer_stop(one.consumer);
    reader_close(&two); /* all would be its own now */
    RUN_UNTIL(&loop, one.revocations > revoked);
    for (int i = 0; i < 20; i++) {
        bus_run_for(&loop, 100);
        cr_assert_eq(reader_owned(&one), 0);
    }
    reader_close(&one);
    end_loop(&loop);
}

Test(consumer, a_start_of_a_partition_that_is_being_taken_away_does_nothing) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    prepare(&reader, &loop, "late");
    reader.start_on_revoke = true;
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader_owned(&reader) == PARTS);
    reader_close(&reader);
    cr_expect_eq(reader.revocations, 1);
    cr_expect_eq(reader_owned(&reader), 0);
    end_loop(&loop);
}

Test(consumer, the_cooperative_protocol_works_too) {
    two_members_share("cooperative", "cooperative-sticky");
}

Test(consumer, an_offset_out_of_range_is_mended_with_the_cooperative_protocol_too) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    struct wp_error error;
    prepare(&reader, &loop, "corange");
    cr_assert_eq(
        wp_config_set(&reader.config, "kafka.partition.assignment.strategy", "cooperative-sticky", &error),
        WP_OK);
    reader.manual = true;
    bus_fill(&reader.config, first.topic, 0, 50);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader_owned(&reader) == PARTS);
    reader_start(&reader, first, 1000);
    RUN_UNTIL(&loop, reader.out_of_range == 1);
    reader_start(&reader, first, 10);
    RUN_UNTIL(&loop, reader.messages == 40);
    reader_close(&reader);
    end_loop(&loop);
}

/* ---- health ---- */

Test(consumer, a_broker_that_is_away_is_said_with_its_address_and_seen_when_it_is_back,
     .timeout = TEST_LIMIT_S) {
    struct kafka_server own;
    kafka_server_start(&own);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    struct wp_error error;
    reader_open(&reader, &loop, own.bootstrap, "away");
    cr_assert_eq(wp_config_set(&reader.config, "kafka.session.timeout.ms", "6000", &error), WP_OK);
    cr_assert_eq(wp_admin_ensure_topics(&reader.config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    bus_fill(&reader.config, first.topic, 0, 100);
    reader_subscribe(&reader);
    cr_expect_not(reader.stats.kafka.ready);
    RUN_UNTIL(&loop, reader.messages == 100 && reader.stats.kafka.ready);
    cr_expect_str_eq(reader.stats.kafka.reason, "");
    kafka_server_kill(&own);
    RUN_UNTIL(&loop, !reader.stats.kafka.ready);
    cr_expect(strstr(reader.stats.kafka.reason, own.bootstrap), "%s", reader.stats.kafka.reason);
    reader_commit(&reader, first, 100);
    reader_query(&reader, first);
    kafka_server_restart(&own);
    RUN_UNTIL(&loop, reader.stats.kafka.ready);
    bus_fill(&reader.config, first.topic, 0, 50);
    /* The coordinator waits for the end of a session that was lost meanwhile before the member is let in
     * again. */
    RUN_UNTIL(&loop, reader.messages >= 150 && reader_part(&reader, first)->expected == 150);
    cr_expect_eq(reader.wrong_offsets, 0);
    reader_close(&reader);
    end_loop(&loop);
    kafka_server_stop(&own);
}

Test(consumer, a_missing_topic_is_named) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct reader reader;
    reader_open(&reader, &loop, kafka_shared(), "missing");
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, strstr(reader.stats.kafka.reason, "missing."));
    cr_expect_not(reader.stats.kafka.ready);
    struct wp_error error;
    cr_assert_eq(wp_admin_ensure_topics(&reader.config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    RUN_UNTIL(&loop, reader.stats.kafka.ready);
    reader_close(&reader);
    end_loop(&loop);
}

Test(consumer, a_wrong_property_is_an_error_that_names_it) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    static const struct wp_consumer_handler nobody = {0};
    struct wp_config config;
    struct wp_stats stats = {0};
    struct wp_error error;
    struct wp_consumer *consumer;
    bus_config(&config, "127.0.0.1:1", "wrong");
    cr_assert_eq(wp_config_set(&config, "kafka.session.timeout.ms", "soon", &error), WP_OK);
    cr_expect_eq(wp_consumer_new(&consumer, &loop, &config, &stats, &nobody, NULL, &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "kafka.session.timeout.ms"), "%s", error.text);
    cr_assert_eq(wp_config_set(&config, "kafka.session.timeout.ms", "6000", &error), WP_OK);
    cr_assert_eq(wp_config_set(&config, "kafka.max.poll.interval.ms", "5000", &error),
                 WP_OK); /* less than the session */
    cr_expect_eq(wp_consumer_new(&consumer, &loop, &config, &stats, &nobody, NULL, &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "max.poll.interval.ms"), "%s", error.text);
    wp_consumer_free(NULL);
    end_loop(&loop);
    wp_config_done(&config);
}

static void expect_refused(const char *key, const char *value, const char *why) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    static const struct wp_consumer_handler nobody = {0};
    struct wp_config config;
    struct wp_stats stats = {0};
    struct wp_error error = {0};
    struct wp_consumer *consumer;
    bus_config(&config, "127.0.0.1:1", "refused");
    cr_assert_eq(wp_config_set(&config, key, value, &error), WP_OK);
    cr_expect_eq(wp_consumer_new(&consumer, &loop, &config, &stats, &nobody, NULL, &error), WP_ERR_CONFIG,
                 "%s = %s is not refused", key, value);
    cr_expect(strstr(error.text, key) && strstr(error.text, why), "%s", error.text);
    end_loop(&loop);
    wp_config_done(&config);
}

Test(consumer, a_property_that_would_lose_records_is_refused_with_the_reason) {
    expect_refused("kafka.auto.offset.reset", "latest", "warmpool accept");
    expect_refused("kafka.auto.offset.reset", "earliest", "warmpool accept");
    expect_refused("kafka.enable.auto.commit", "true", "Take it out");
    expect_refused("kafka.enable.auto.offset.store", "t", "Take it out");
    expect_refused("kafka.group.instance.id", "one", "worker.id");
    expect_refused("kafka.log.queue", "true", "Take it out");
    expect_refused("kafka.group.protocol", "consumer", "");
}
