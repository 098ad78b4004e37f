/* No call does much: whatever is long goes on in steps. Large states are built, each kind of call is made
 * twenty times, and its work is counted: the commands that it gives Redis and the records that it answers
 * with. The time of the median and of the worst is printed, not judged: it is the machine's. */
#include "support/limits.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 20
#define LARGE 2400

static struct pool_slot slot;
static void start(void) {
    pool_slot_start(&slot);
    slot.unchecked = true;
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG SET appendfsync no"));
    pool_settings(&slot, "{'size': 20000, 'max_containers': 20000, 'lease_ms': 600000}");
    pool_host(&slot, "h1", 20000, 0);
}
static void stop(void) {
    pool_slot_stop(&slot);
}
TestSuite(pool_steps, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* ---- measuring ---- */

struct work {
    long long us[ROUNDS], commands, records; /* of the largest call */
    int rounds;
};

/* All commands that the function gave, and the test's own two. */
static long long calls_inside(const char *stats) {
    long long sum = 0;
    for (const char *at = stats; (at = strstr(at, "cmdstat_")); at++)
        if (strncmp(at + 8, "fcall", 5) != 0) sum += strtoll(strstr(at, "calls=") + 6, NULL, 10);
    return sum;
}

static double cpu_us; /* of Redis' main thread, when the call began */

static double main_thread_us(void) {
    redisReply *info = test_redis_command(&slot.redis, "INFO cpu");
    double us = 0;
    const char *const names[] = {"used_cpu_user_main_thread:", "used_cpu_sys_main_thread:"};
    for (int i = 0; i < 2; i++) us += 1e6 * strtod(strstr(info->str, names[i]) + strlen(names[i]), NULL);
    freeReplyObject(info);
    return us;
}

static void begin_call(void) {
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG RESETSTAT"));
    cpu_us = main_thread_us();
}

static void end_call(struct work *work) {
    work->us[work->rounds++] = (long long)(main_thread_us() - cpu_us);
    redisReply *info = test_redis_command(&slot.redis, "INFO commandstats");
    long long commands = calls_inside(info->str);
    if (commands > work->commands) work->commands = commands;
    freeReplyObject(info);
}

static int by_size(const void *a, const void *b) {
    const long long *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void expect(struct work *work, const char *what, long long commands, long long records) {
    cr_assert_gt(work->rounds, 0);
    qsort(work->us, (size_t)work->rounds, sizeof work->us[0], by_size);
    printf("%-44s %2d calls: median %6.2f ms, worst %6.2f ms, at most %lld commands, %lld records\n", what,
           work->rounds, (double)work->us[work->rounds / 2] / 1000, (double)work->us[work->rounds - 1] / 1000,
           work->commands, work->records);
    cr_expect_leq(work->commands, commands, "%s gives %lld commands", what, work->commands);
    cr_expect_leq(work->records, records, "%s answers %lld records", what, work->records);
    *work = (struct work){0};
}

static void note_records(struct work *work) {
    if ((long long)slot.answer.count > work->records) work->records = (long long)slot.answer.count;
}

/* One call of a topic's function, that may stop early. */
static void measure(struct work *work, enum pool_topic topic, struct test_events *events) {
    calls_reply_done(&slot.answer);
    begin_call();
    slot.answer = pool_call(&slot, topic, slot.last[topic], 0, events);
    end_call(work);
    cr_assert_eq(slot.answer.status, 1);
    cr_assert_gt(slot.answer.applied, slot.last[topic], "it gets on");
    slot.last[topic] = slot.answer.applied;
    note_records(work);
}

/* The first thing that the last call asked to be continued; false: nothing. */
static bool measure_next(struct work *work) {
    if (record_count(&slot.answer, 6) == 0) return false;
    size_t at = record_find(&slot.answer, 6, 0);
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_EVENT), "ssssss", record_str(&slot.answer, at, "container_id"),
              record_str(&slot.answer, at, "philosophy"), record_str(&slot.answer, at, "host"),
              record_str(&slot.answer, at, "state"), record_str(&slot.answer, at, "detail"), "");
    measure(work, POOL_EVENT, &events);
    return true;
}

static void measure_all(struct work *work) {
    while (work->rounds < ROUNDS && measure_next(work)) {
    }
}

static void measure_control(struct work *work, const char *philosophy, const char *op, int count) {
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_CONTROL), count < 0 ? "sss-" : "sssi", "", philosophy, op,
              count);
    measure(work, POOL_CONTROL, &events);
}

static void measure_event(struct work *work, const char *host, const char *state, const char *detail) {
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_EVENT), "ssssss", "-", "-", host, state, detail, "");
    measure(work, POOL_EVENT, &events);
}

/* A call of a function that is no topic's. */
static void measure_function(struct work *work, const char *name, const struct wp_str *args, size_t count) {
    begin_call();
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, name, args, count);
    end_call(work);
    cr_assert(reply->type != REDIS_REPLY_ERROR, "%s: %s", name, reply->str);
    freeReplyObject(reply);
}

/* ---- large states ---- */

/* `count` requests of tenants, philosophies and agents of their own, from the first on. */
static void acquire_many(int first, int count, bool tenants, bool philosophies, int timeout_ms,
                         double memory) {
    for (int done = 0; done < count;) {
        struct test_events events = {0};
        for (int i = 0; i < 500 && done < count; i++, done++) {
            char id[24], tenant[24], name[24];
            snprintf(id, sizeof id, "r%d", first + done);
            snprintf(tenant, sizeof tenant, "t%d", first + done);
            snprintf(name, sizeof name, "p%d", first + done);
            struct pool_request r = {.id = id,
                                     .agent = id,
                                     .tenant = tenants ? tenant : "",
                                     .philosophy = philosophies ? name : "react",
                                     .timeout_ms = timeout_ms,
                                     .memory = memory};
            pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE) + i, &r);
        }
        pool_send(&slot, POOL_ACQUIRE, &events);
    }
}

static void release_many(int count) {
    for (int done = 0; done < count;) {
        struct test_events events = {0};
        for (int i = 0; i < 500 && done < count; i++, done++) {
            char id[24];
            snprintf(id, sizeof id, "r%d", done);
            event_add(&events, pool_next(&slot, POOL_RELEASE) + i, "sssb", id, "react", "", true);
        }
        pool_send(&slot, POOL_RELEASE, &events);
    }
}

/* Idle containers, each of a reuse key of its own. */
static void idle_of_many_keys(int count) {
    pool_warm(&slot, "react", count);
    acquire_many(0, count, true, false, 0, 0);
    release_many(count);
    cr_assert_eq(pool_stat(&slot, "react", "available"), count);
}

/* ---- pools ---- */

Test(pool_steps, a_pre_warm_makes_a_few_at_a_time_until_all_are_made) {
    struct work work = {0};
    measure_control(&work, "react", "pre_warm", 10000);
    measure_all(&work);
    expect(&work, "pre_warm of 10,000", 120, 40);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), ROUNDS * 32);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 10000);
}

Test(pool_steps, idle_containers_of_many_reuse_keys_go_in_steps) {
    struct work work = {0};
    idle_of_many_keys(LARGE);
    measure_control(&work, "react", "expire", LARGE);
    measure_all(&work);
    expect(&work, "expire over 2400 reuse keys", 1200, 110);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), LARGE, "as many as there were are made");
}

Test(pool_steps, an_expire_leaves_alone_what_became_idle_after_it) {
    idle_of_many_keys(300);
    pool_acquire(&slot, .id = "late", .tenant = "t299");
    pool_control(&slot, "react", "expire", -1);
    cr_assert_eq(pool_commands(&slot, "destroy"), 100);
    struct test_reply kept = slot.answer;
    slot.answer = (struct test_reply){0};
    pool_release(&slot, "late");
    calls_reply_done(&slot.answer);
    slot.answer = kept;
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
}

Test(pool_steps, a_resize_and_a_drain_go_in_steps) {
    struct work work = {0};
    idle_of_many_keys(LARGE);
    measure_control(&work, "react", "resize", 1300);
    measure_all(&work);
    expect(&work, "resize", 1200, 110);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1300);
    measure_control(&work, "react", "drain", -1);
    measure_all(&work);
    expect(&work, "drain of idle ones", 1200, 110);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

Test(pool_steps, a_batch_of_controls_does_no_more_than_one) {
    struct work work = {0};
    idle_of_many_keys(LARGE);
    for (int round = 0; round < ROUNDS / 2; round++) {
        struct test_events events = {0};
        for (int i = 0; i < 200; i++)
            event_add(&events, pool_next(&slot, POOL_CONTROL) + i, "sssi", "", "react",
                      i % 2 ? "expire" : "pre_warm", 1000);
        measure(&work, POOL_CONTROL, &events);
    }
    expect(&work, "batches of 200 expire and pre_warm", 2500, 400);
}

Test(pool_steps, who_waits_is_rejected_in_steps_when_a_pool_is_drained) {
    struct work work = {0};
    pool_host(&slot, "h1", 10, 0);
    acquire_many(0, LARGE, true, false, 3600000, 0);
    measure_control(&work, "react", "drain", -1);
    measure_all(&work);
    expect(&work, "drain of waiting ones", 300, 110);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
}

Test(pool_steps, a_waiting_list_of_requests_that_nothing_fits_costs_little) {
    struct work work = {0};
    pool_host(&slot, "h1", 400, 0);
    acquire_many(0, 4000, true, false, 3600000, 8000);
    pool_follow(&slot);
    for (int i = 0; i < ROUNDS; i++) {
        struct test_events events = {0};
        char id[24];
        snprintf(id, sizeof id, "small%d", i);
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE), &(struct pool_request){.id = id});
        measure(&work, POOL_ACQUIRE, &events);
    }
    expect(&work, "acquire behind 4000 that are too large", 60, 40);
}

/* Many pools want room on a full host, whose idle containers are of another pool, each of a reuse key of its
 * own, and too few of them make way for all. */
Test(pool_steps, many_pools_that_want_room_take_turns) {
    struct work work = {0};
    idle_of_many_keys(LARGE);
    pool_host(&slot, "h1", LARGE, 0);
    acquire_many(LARGE, 900, false, true, 3600000, 0);
    for (int i = 0; i < ROUNDS; i++) measure_event(&work, "h1", "host_up", "");
    expect(&work, "host_up with 900 pools that want room", 900, 140);
    for (int i = 0; i < ROUNDS; i++) {
        struct test_events events = {0};
        char id[24];
        snprintf(id, sizeof id, "more%d", i);
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE),
                         &(struct pool_request){.id = id, .philosophy = "p2500", .memory = 9, .cpu = 9});
        measure(&work, POOL_ACQUIRE, &events);
    }
    expect(&work, "acquire for which another pool makes room", 900, 10);
}

/* ---- what is due ---- */

Test(pool_steps, leases_and_requests_that_are_over_end_in_steps) {
    struct work work = {0};
    pool_warm(&slot, "react", LARGE);
    acquire_many(0, LARGE, true, false, 0, 0);
    pool_host(&slot, "h1", LARGE, 0);
    acquire_many(LARGE, LARGE, true, false, 500000, 0);
    pool_advance_time(&slot, 700);
    measure_event(&work, "-", "lease_expired", "");
    measure_all(&work);
    expect(&work, "leases that have expired", 1000, 340);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "waiting") + pool_stat(&slot, "react", "leased"), 0);
}

Test(pool_steps, idle_containers_that_are_too_old_go_in_steps) {
    struct work work = {0};
    pool_settings(&slot, "{'idle_ttl': 100}");
    idle_of_many_keys(LARGE);
    pool_advance_time(&slot, 200);
    while (work.rounds < ROUNDS) {
        measure_event(&work, "-", "lease_expired", "");
        measure_all(&work);
    }
    expect(&work, "idle ones that are too old", 1200, 110);
}

Test(pool_steps, a_sweep_removes_a_bounded_number) {
    struct work work = {0};
    acquire_many(0, 12000, false, false, POOL_ZERO, 0);
    pool_advance_time(&slot, 4000);
    for (int i = 0; i < ROUNDS; i++) measure_function(&work, "sweep", NULL, 0);
    expect(&work, "sweep", 30, 0);
}

/* ---- hosts ---- */

Test(pool_steps, a_host_that_is_gone_is_dropped_in_steps) {
    struct work work = {0};
    pool_warm(&slot, "react", LARGE);
    acquire_many(0, LARGE, true, false, 0, 0);
    pool_beat(&slot, "h1", 100000, 0, "draining");
    measure_event(&work, "h1", "host_down", "stopping");
    measure_all(&work);
    expect(&work, "host_down", 900, 110);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, NULL, "lost"), LARGE);
}

Test(pool_steps, a_host_that_is_away_is_looked_through_in_steps) {
    struct work work = {0};
    pool_warm(&slot, "react", LARGE);
    pool_control(&slot, "react", "pre_warm", LARGE + 600);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 600);
    pool_beat(&slot, "h1", 20000, 0, "away");
    measure_event(&work, "h1", "host_down", "away");
    measure_all(&work);
    expect(&work, "host_down, away", 900, 220);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    struct work back = {0};
    pool_beat(&slot, "h1", 20000, 0, "up");
    measure_event(&back, "h1", "host_up", "");
    measure_all(&back);
    expect(&back, "host_up, back", 900, 220);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), LARGE);
}

Test(pool_steps, what_hosts_say_is_taken_in_parts) {
    struct work work = {0};
    pool_warm(&slot, "react", LARGE);
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "owned", "h1", NULL);
    json_t *rows = calls_unpack(reply);
    freeReplyObject(reply);
    struct test_events events = {0};
    for (size_t i = 0; i < json_array_size(rows); i++)
        event_add(&events, pool_next(&slot, POOL_EVENT) + (int64_t)i, "ssssss",
                  json_string_value(json_array_get(json_array_get(rows, i), 0)), "react", "h1", "died", "",
                  "");
    cr_assert_leq(events.count, 200, "owned answers in pages");
    pool_beat(&slot, "h1", 100000, 0, "draining");
    for (int i = 0; i < 300; i++)
        event_add(&events, pool_next(&slot, POOL_EVENT) + events.count, "ssssss", "-", "-", "h1", "host_down",
                  "stopping", "");
    measure(&work, POOL_EVENT, &events);
    expect(&work, "a batch of 200 died and 300 host_down", 1500, 420);
    json_decref(rows);
}

Test(pool_steps, a_batch_of_ready_containers_is_taken_in_parts) {
    struct work work = {0};
    pool_control(&slot, "react", "pre_warm", 1000);
    acquire_many(0, 1000, true, false, 3600000, 0);
    pool_follow(&slot);
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "owned", "h1", NULL);
    json_t *rows = calls_unpack(reply);
    freeReplyObject(reply);
    for (int round = 0; round < 10; round++) {
        struct test_events events = {0};
        for (size_t i = 0; i < json_array_size(rows); i++)
            event_add(&events, pool_next(&slot, POOL_EVENT) + (int64_t)i, "ssssss",
                      json_string_value(json_array_get(json_array_get(rows, i), 0)), "react", "h1", "ready",
                      "", "127.0.0.1:7");
        measure(&work, POOL_EVENT, &events);
    }
    expect(&work, "a batch of 200 ready, and again", 500, 500);
    json_decref(rows);
}

/* Hosts that name an image for each of a thousand philosophies. */
Test(pool_steps, images_of_many_philosophies_are_not_read_with_every_call) {
    struct work work = {0};
    json_t *beat = json_pack("{s:i s:i s:s s:s s:i s:b s:o}", "capacity", 100, "memory_mb", 0, "runtime",
                             "docker", "state", "up", "ttl_ms", 15000, "image", 1, "images", json_object());
    for (int i = 0; i < 1000; i++) {
        char name[24];
        snprintf(name, sizeof name, "p%d", i);
        json_object_set_new(json_object_get(beat, "images"), name, json_boolean(i % 2));
    }
    char *text = json_dumps(beat, 0);
    for (int i = 0; i < 50; i++) {
        char host[24];
        snprintf(host, sizeof host, "many%d", i);
        pool_beat_with(&slot, host, text);
    }
    for (int i = 0; i < ROUNDS; i++) {
        begin_call();
        cr_assert_eq(pool_beat_with(&slot, "many7", text), 0);
        end_call(&work);
    }
    expect(&work, "a beat with 1000 images", 12, 0);
    for (int i = 0; i < ROUNDS; i++) {
        char name[24];
        struct test_events events = {0};
        snprintf(name, sizeof name, "p%d", 2 * i + 1);
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE),
                         &(struct pool_request){.id = name, .philosophy = name, .memory = 1000});
        measure(&work, POOL_ACQUIRE, &events);
    }
    expect(&work, "an acquire with 51 hosts and their images", 120, 10);
    json_decref(beat);
    free(text);
}

Test(pool_steps, a_host_reads_its_containers_in_pages) {
    struct work work = {0};
    char after[200] = "";
    int all = 0;
    pool_warm(&slot, "react", LARGE);
    acquire_many(0, LARGE / 2, true, false, 0, 0);
    for (bool more = true; more; all += 0) {
        struct wp_str args[] = {wp_str("h1"), wp_str(after)};
        begin_call();
        redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "owned", args, 2);
        end_call(&work);
        json_t *rows = calls_unpack(reply);
        size_t count = json_array_size(rows);
        if ((long long)count > work.records) work.records = (long long)count;
        all += (int)count;
        more = count > 0;
        if (more)
            snprintf(after, sizeof after, "%s",
                     json_string_value(json_array_get(json_array_get(rows, count - 1), 0)));
        json_decref(rows);
        freeReplyObject(reply);
    }
    cr_assert_eq(all, LARGE);
    expect(&work, "owned", 12, 200);
}

/* ---- what is read ---- */

Test(pool_steps, figures_of_many_pools_and_leases_come_in_pages) {
    struct work work = {0};
    pool_control(&slot, "react", "pre_warm", 0);
    acquire_many(0, 999, false, true, POOL_ZERO, 0);
    for (int i = 0; i < ROUNDS; i++) measure_function(&work, "pool_stats", NULL, 0);
    expect(&work, "wp_pool_stats of 1000 pools, a page", 14, 0);
    pool_warm(&slot, "react", LARGE);
    acquire_many(5000, LARGE, true, false, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        char from[24];
        snprintf(from, sizeof from, "%d", i * 100);
        struct wp_str args[] = {wp_str(from), wp_str("1000")};
        measure_function(&work, "leases", args, 2);
    }
    expect(&work, "wp_leases of 2400, a page", 12, 0);
}
