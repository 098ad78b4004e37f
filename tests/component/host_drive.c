/* The host side on a real Redis with the pool's functions, and librdkafka's mock cluster. The test plays the
 * engine: it applies container-event records and publishes the commands that come of them. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/clock.h"
#include "host/host.h"
#include "pool/recover_calls.h"
#include "support/kafka_reader.h"
#include "support/calls.h"
#include "support/limits.h"
#include "support/pool_slot.h"

#define HOST "h1"
struct seen {
    char id[64], state[32], detail[128], address[64];
};

struct world {
    uv_loop_t loop;
    rd_kafka_t *mock, *reader;
    struct test_redis redis;
    struct wp_config config;
    struct wp_stats stats;
    struct wp_link *link;
    struct wp_producer *producer;
    struct wp_wire *wire;
    struct wp_host *host;
    bool drop_commands;
    bool leave_events;  /* nobody reads container-event now */
    int stopped;        /* how often the host has said so */
    int64_t offsets[2]; /* of container-event and pool-control in Redis */
    struct seen seen[256];
    int count;
};

static void on_delivered(void *ctx, void *token, const struct wp_report *report) {
    (void)ctx;
    (void)token;
    (void)report;
}

static void on_link(void *ctx, enum wp_slot slot, bool ready) {
    (void)slot;
    struct world *world = ctx;
    if (ready && world->host) wp_host_link_ready(world->host);
}

static void set(struct world *world, const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&world->config, key, value, &error), WP_OK, "%s", error.text);
}

static void start_mock(struct world *world) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof why);
    sigset_t all, before; /* its thread ends when a signal, such as SIGCHLD, interrupts its poll */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    world->mock = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    cr_assert(world->mock, "%s", why);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(world->mock);
    set(world, "kafka.bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster));
    for (int i = 0; i < WP_TOPICS; i++)
        rd_kafka_mock_topic_create(cluster, wp_topics[i].name, (enum wp_topic)i == WP_TOPIC_COMMAND ? 4 : 1,
                                   1);
}

static void start_reader(struct world *world) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", wp_settings_get(&world->config.kafka, "bootstrap.servers"),
                      why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", "test", why, sizeof why);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", why, sizeof why);
    world->reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "container-event", 0)->offset = 0;
    cr_assert_eq(rd_kafka_assign(world->reader, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
}

static void start_host(struct world *world) {
    struct wp_error error;
    cr_assert_eq(wp_producer_new(&world->producer, &world->loop, &world->config, &world->stats, on_delivered,
                                 world, &error),
                 WP_OK);
    cr_assert_eq(wp_link_new(&world->link, &world->loop, &world->config, WP_SLOT_POOL, &world->stats, on_link,
                             world, &error),
                 WP_OK);
    struct wp_buf settings = {0};
    calls_pack_json(&settings, pool_default_settings);
    wp_link_settings(world->link, "worker-1", 0, wp_buf_str(&settings));
    wp_buf_done(&settings);
    cr_assert_eq(wp_host_new(&world->host, &world->loop, &world->config, &world->stats, world->link,
                             world->producer, world->wire, &error),
                 WP_OK, "%s", error.text);
}

static void on_stopped(void *ctx) {
    ((struct world *)ctx)->stopped++;
}

static void stop_host(struct world *world) {
    wp_host_stop(world->host, on_stopped, world);
}

static void free_host(struct world *world) {
    wp_host_free(world->host);
    world->host = NULL;
    wp_link_free(world->link);
    wp_producer_free(world->producer);
    uv_run(&world->loop, UV_RUN_DEFAULT);
}

static struct world *new_world(void) {
    struct wp_error error;
    struct world *world = wp_calloc(1, sizeof *world);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&world->loop);
    wp_config_init(&world->config);
    test_redis_start(&world->redis);
    calls_load(&world->redis, WP_SLOT_POOL);
    calls_settings(world->redis.connection, WP_SLOT_POOL, pool_default_settings);
    world->offsets[0] = world->offsets[1] = -1;
    set(world, "redis.url", world->redis.url);
    set(world, "host.name", HOST);
    set(world, "host.ttl_ms", "1000");
    start_mock(world);
    start_reader(world);
    cr_assert_eq(wp_wire_new(&world->wire, &world->config, &error), WP_OK, "%s", error.text);
    return world;
}

static void free_world(struct world *world) {
    if (world->host) free_host(world);
    cr_assert_eq(uv_loop_close(&world->loop), 0);
    rd_kafka_consumer_close(world->reader);
    rd_kafka_destroy(world->reader);
    rd_kafka_destroy(world->mock);
    wp_wire_free(world->wire);
    test_redis_stop(&world->redis);
    wp_config_done(&world->config);
    free(world);
}

/* --- the engine's part
 * ---------------------------------------------------------------------------------------------- */

static void publish_bytes(struct world *world, struct wp_str bytes) {
    struct wp_error error;
    int32_t partitions = wp_producer_partitions(world->producer, WP_TOPIC_COMMAND);
    cr_assert_eq(partitions, 4);
    struct wp_record record = {.topic = WP_TOPIC_COMMAND,
                               .value = bytes,
                               .partition = (int32_t)(wp_str_hash(WP_STR(HOST)) % (unsigned)partitions)};
    cr_assert_eq(wp_producer_send(world->producer, &record, &error), WP_OK, "%s", error.text);
}

static void publish_command(struct world *world, const char *host, const char *op, const char *id) {
    struct wp_buf bytes = {0};
    struct wp_command command = {.command_id = WP_STR("c"),
                                 .host = wp_str(host),
                                 .op = wp_str(op),
                                 .container_id = wp_str(id),
                                 .philosophy = WP_STR("react"),
                                 .limits = {50, 256}};
    wp_wire_encode(world->wire, WP_TOPIC_COMMAND, &command, &bytes);
    publish_bytes(world, wp_buf_str(&bytes));
    wp_buf_done(&bytes);
}

static void publish_commands(struct world *world, struct test_reply *reply) {
    for (size_t i = 0; i < reply->count && !world->drop_commands; i++) {
        if (record_kind(reply, i) != 2) continue;
        publish_command(world, record_str(reply, i, "host"), record_str(reply, i, "op"),
                        record_str(reply, i, "container_id"));
    }
    calls_reply_done(reply);
}

static void control(struct world *world, const char *op, int count) {
    char id[32];
    struct test_events events = {0};
    int64_t offset = world->offsets[1] + 1;
    snprintf(id, sizeof id, "control-%lld", (long long)offset);
    event_add(&events, offset, "sssi", id, "react", op, count);
    struct test_reply reply = calls_topic(&world->redis, "control", "c/pool-control/0", world->offsets[1], 0,
                                          pool_default_settings, &events);
    world->offsets[1] = offset;
    publish_commands(world, &reply);
}

static char *text_of(char *into, size_t room, struct wp_str text) {
    snprintf(into, room, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
    return into;
}

static void apply(struct world *world, const rd_kafka_message_t *message) {
    struct wp_arena arena = {0};
    struct wp_error error;
    union wp_event event;
    struct seen *seen = &world->seen[world->count++];
    char host[80], philosophy[80];
    cr_assert_lt(world->count, 256);
    cr_assert_eq(wp_wire_decode(world->wire, WP_TOPIC_EVENT, (struct wp_str){message->payload, message->len},
                                &arena, &event, &error),
                 WP_OK, "%s", error.text);
    text_of(seen->id, sizeof seen->id, event.container.container_id);
    text_of(seen->state, sizeof seen->state, event.container.state);
    text_of(seen->detail, sizeof seen->detail, event.container.detail);
    text_of(seen->address, sizeof seen->address, event.container.address);
    text_of(host, sizeof host, event.container.host);
    text_of(philosophy, sizeof philosophy, event.container.philosophy);
    cr_expect_str_eq(host, HOST);
    struct test_events events = {0};
    event_add(&events, message->offset, "ssssss", seen->id, philosophy, host, seen->state, seen->detail,
              seen->address);
    struct test_reply reply = calls_topic(&world->redis, "event", "c/container-event/0", world->offsets[0], 0,
                                          pool_default_settings, &events);
    world->offsets[0] = message->offset;
    publish_commands(world, &reply);
    wp_arena_done(&arena);
}

static void turn(struct world *world) {
    rd_kafka_message_t *message;
    loop_turn(&world->loop);
    if (world->leave_events) return;
    while ((message = rd_kafka_consumer_poll(world->reader, 0)) != NULL) {
        if (!message->err) apply(world, message);
        rd_kafka_message_destroy(message);
    }
}

static int times(const struct world *world, const char *state) {
    int count = 0;
    for (int i = 0; i < world->count; i++) count += strcmp(world->seen[i].state, state) == 0;
    return count;
}

static const struct seen *nth(const struct world *world, const char *state, int n) {
    for (int i = 0; i < world->count; i++) {
        if (strcmp(world->seen[i].state, state) == 0 && n-- == 0) return &world->seen[i];
    }
    cr_assert_fail("no such event: %s", state);
    return NULL;
}

static double stat_of(struct world *world, const char *name) {
    json_t *stats = calls_public(&world->redis, "pool_stats", NULL);
    double value = json_number_at(stats, "pools", "react", name, NULL);
    json_decref(stats);
    return value;
}

static bool host_known(struct world *world) {
    json_t *stats = calls_public(&world->redis, "pool_stats", NULL);
    bool known = json_object_get(json_object_get(stats, "hosts"), HOST) != NULL;
    json_decref(stats);
    return known;
}

static pid_t pid_of(const struct seen *seen) {
    cr_assert(strncmp(seen->address, "pid:", 4) == 0, "%s", seen->address);
    return (pid_t)strtol(seen->address + 4, NULL, 10);
}
static bool is_dead(pid_t pid) {
    return kill(pid, 0) != 0;
}

#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        for (int64_t end_ = wp_clock_us() + WAIT_LIMIT_MS * INT64_C(1000);                                   \
             !(condition) && wp_clock_us() < end_;)                                                          \
            turn(world);                                                                                     \
        cr_assert(condition, "waited for: %s", #condition);                                                  \
    } while (0)

static struct world *world_with(int containers) {
    struct world *world = new_world();
    start_host(world);
    WAIT(world, times(world, "host_up") > 0 && wp_producer_partitions(world->producer, WP_TOPIC_COMMAND) > 0);
    if (containers > 0) {
        control(world, "pre_warm", containers);
        WAIT(world, stat_of(world, "available") == containers);
    }
    return world;
}

Test(host_drive, it_registers_and_says_it_is_up) {
    struct world *world = world_with(0);
    cr_assert(host_known(world));
    free_world(world);
}

Test(host_drive, an_unknown_runtime_is_refused_with_a_sentence) {
    struct world *world = new_world();
    struct wp_error error;
    free(world->config.host.runtime);
    world->config.host.runtime = wp_strdup("podman");
    cr_assert_eq(wp_host_new(&world->host, &world->loop, &world->config, &world->stats, NULL, NULL,
                             world->wire, &error),
                 WP_ERR_CONFIG);
    cr_assert(strstr(error.text, "podman"));
    world->host = NULL;
    free_world(world);
}

Test(host_drive, commands_become_processes_and_their_end_is_told) {
    struct world *world = world_with(3);
    for (int i = 0; i < 3; i++) cr_assert_not(is_dead(pid_of(nth(world, "ready", i))));
    kill(pid_of(nth(world, "ready", 0)), SIGKILL);
    WAIT(world, times(world, "died") == 1);
    cr_assert_str_eq(nth(world, "died", 0)->id, nth(world, "ready", 0)->id);
    cr_assert_str_eq(nth(world, "died", 0)->detail, "killed: the process was ended by signal 9");
    control(world, "drain", 0);
    WAIT(world, times(world, "gone") >= 2);
    for (int i = 0; i < times(world, "ready"); i++) cr_assert(is_dead(pid_of(nth(world, "ready", i))));
    free_world(world);
}

Test(host_drive, one_that_ended_is_given_to_nobody_while_its_event_is_not_read) {
    struct world *world = world_with(3);
    world->leave_events = true;
    kill(pid_of(nth(world, "ready", 1)), SIGKILL);
    WAIT(world, stat_of(world, "available") == 2);
    world->leave_events = false;
    WAIT(world, times(world, "died") == 1);
    cr_assert_str_eq(nth(world, "died", 0)->id, nth(world, "ready", 1)->id);
    WAIT(world, stat_of(world, "available") == 2);
    free_world(world);
}

Test(host_drive, foreign_doubled_and_broken_commands_do_no_harm) {
    struct world *world = world_with(1);
    publish_bytes(world, WP_STR("\x01 no command"));
    publish_bytes(world, WP_STR("{\"host\": 7}"));
    publish_command(world, "another", "destroy", nth(world, "ready", 0)->id);
    publish_command(world, HOST, "destroy",
                    nth(world, "ready", 0)->id); /* Redis wants it: only that counts */
    publish_command(world, HOST, "create", "nobody-knows");
    control(world, "pre_warm", 2);
    WAIT(world, stat_of(world, "available") == 2);
    cr_assert_eq(times(world, "ready"), 2);
    cr_assert_not(is_dead(pid_of(nth(world, "ready", 0))));
    free_world(world);
}

Test(host_drive, lost_commands_are_made_good_by_the_next_reconcile) {
    struct world *world = new_world();
    set(world, "host.reconcile_interval", "1");
    start_host(world);
    WAIT(world, times(world, "host_up") > 0);
    world->drop_commands = true;
    control(world, "pre_warm", 2);
    WAIT(world, stat_of(world, "available") == 2);
    control(world, "drain", 0);
    WAIT(world, times(world, "gone") >= 2);
    free_world(world);
}

static int forgotten_count;
static void on_forgotten(void *ctx) {
    (void)ctx;
    forgotten_count++;
}

/* What a worker does once it has looked up leases in Kafka: one, on this container. */
static void recover_lease_on(struct world *world, const char *container) {
    struct wp_buf rows = {0};
    json_t *assignment =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:s}", "request_id", "r1", "agent_id", "a",
                  "philosophy", "react", "container_id", container, "host", HOST, "address", "pid:1",
                  "warm_start", 1, "lease_epoch", 7, "tier", "hot");
    wp_pack_array(&rows, 1);
    wp_pack_lease(&rows, assignment, WP_STR("k"), WP_STR("default"));
    json_decref(assignment);
    struct wp_str args[] = {WP_STR("end"), WP_STR("0"), wp_buf_str(&rows)};
    redisReply *reply = calls_function_on(world->redis.connection, WP_SLOT_POOL, "recover", args, 3);
    cr_assert_eq(reply->type, REDIS_REPLY_INTEGER, "%s", reply->str);
    freeReplyObject(reply);
    wp_buf_done(&rows);
}

Test(host_drive,
     when_redis_forgot_it_touches_nothing_before_leases_were_looked_up_then_ends_what_nobody_owns) {
    struct world *world = world_with(2);
    wp_host_on_forgotten(world->host, on_forgotten, NULL);
    test_redis_flush(&world->redis);
    WAIT(world, forgotten_count > 1);
    cr_assert_not(is_dead(pid_of(nth(world, "ready", 0))));
    cr_assert_not(is_dead(pid_of(nth(world, "ready", 1))));
    recover_lease_on(world, nth(world, "ready", 0)->id);
    WAIT(world, is_dead(pid_of(nth(world, "ready", 1))));
    cr_assert_eq(times(world, "gone"), 0, "told of what nobody knows");
    WAIT(world, times(world, "host_up") > 1);
    cr_assert_not(is_dead(pid_of(nth(world, "ready", 0))), "it is leased");
    cr_assert_eq(stat_of(world, "leased"), 1);
    free_world(world);
}

Test(host_drive, containers_live_through_a_restart_of_redis) {
    struct world *world = world_with(2);
    int ups = times(world, "host_up");
    test_redis_restart(&world->redis);
    WAIT(world, times(world, "host_up") > ups);
    cr_assert_eq(stat_of(world, "available"), 2);
    cr_assert_not(is_dead(pid_of(nth(world, "ready", 0))));
    free_world(world);
}

Test(host_drive, a_new_worker_reports_the_containers_that_the_killed_one_took_with_it) {
    struct world *world = world_with(2);
    free_host(world); /* without stop: Redis is told nothing */
    cr_assert(is_dead(pid_of(nth(world, "ready", 0))));
    world->drop_commands = true;
    cr_assert_eq(stat_of(world, "available"), 2);
    start_host(world);
    WAIT(world, times(world, "died") >= 2);
    cr_assert_str_eq(nth(world, "died", 1)->detail,
                     "exited: not found by its host, it ended with its worker");
    free_world(world);
}

Test(host_drive, a_failing_create_is_told_with_its_reason_and_harms_no_other) {
    struct world *world = new_world();
    set(world, "process.command", "exit 3");
    set(world, "process.ready", "notify");
    start_host(world);
    WAIT(world, times(world, "host_up") > 0 && wp_producer_partitions(world->producer, WP_TOPIC_COMMAND) > 0);
    control(world, "pre_warm", 1);
    WAIT(world, times(world, "failed") > 0);
    cr_assert_str_eq(nth(world, "failed", 0)->detail, "the process exited with status 3 before it was ready");
    cr_assert_eq(stat_of(world, "available"), 0);
    free_world(world);
}

Test(host_drive, a_clean_stop_says_so_and_leaves_no_process) {
    struct world *world = world_with(2);
    stop_host(world);
    stop_host(world); /* once more is nothing */
    WAIT(world, times(world, "host_down") == 1);
    cr_assert_str_eq(nth(world, "host_down", 0)->detail, "stopping");
    cr_assert_not(host_known(world));
    WAIT(world, is_dead(pid_of(nth(world, "ready", 0))) && is_dead(pid_of(nth(world, "ready", 1))));
    cr_assert_eq(times(world, "gone") + times(world, "died"), 0);
    free_world(world);
}

/* Its host is up, and keeps its containers when it stops. */
static struct world *keeping_world(void) {
    struct world *world = new_world();
    set(world, "host.on_exit", "keep");
    start_host(world);
    WAIT(world, times(world, "host_up") > 0);
    return world;
}

Test(host_drive, with_on_exit_keep_a_stop_drains_and_says_that_it_is_away) {
    struct world *world = keeping_world();
    stop_host(world);
    json_t *stats = NULL;
    const char *state = "";
    for (int64_t end = wp_clock_us() + WAIT_LIMIT_MS * INT64_C(1000);
         strcmp(state, "draining") != 0 && wp_clock_us() < end;) {
        turn(world);
        if (stats) json_decref(stats);
        stats = calls_public(&world->redis, "pool_stats", NULL);
        state = json_string_value(
            json_object_get(json_object_get(json_object_get(stats, "hosts"), HOST), "state"));
    }
    cr_assert_str_eq(state, "draining");
    json_decref(stats);
    WAIT(world, times(world, "host_down") == 1);
    cr_assert_str_eq(nth(world, "host_down", 0)->detail, "away");
    cr_assert_eq(world->stopped, 1);
    free_world(world);
}

Test(host_drive, host_down_is_said_when_redis_knows_that_the_host_drains) {
    struct world *world = keeping_world();
    test_redis_pause(&world->redis);
    uint64_t said = world->stats.records[WP_TOPIC_EVENT];
    stop_host(world);
    cr_assert_eq(wp_producer_flush(world->producer, WAIT_LIMIT_MS), 0);
    cr_assert_eq(world->stats.records[WP_TOPIC_EVENT], said);
    cr_assert_eq(world->stopped, 0);
    test_redis_resume(&world->redis);
    WAIT(world, times(world, "host_down") == 1 && world->stopped == 1);
    free_world(world);
}

Test(host_drive, a_stop_that_redis_does_not_answer_can_be_ended) {
    struct world *world = keeping_world();
    test_redis_pause(&world->redis);
    stop_host(world);
    wp_host_leave(world->host);
    wp_host_leave(world->host); /* once more is nothing */
    cr_assert_eq(world->stopped, 1);
    test_redis_resume(&world->redis);
    WAIT(world, times(world, "host_down") == 1);
    free_world(world);
}
