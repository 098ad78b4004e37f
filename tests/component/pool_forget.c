/* What is known of hosts (wp_hosts, wp_host), and hosts that are given up because they never return. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "support/pool_check.h"
#include "support/pool_suite.h"

POOL_SUITE(pool_forget);

#define BEAT "'capacity': 50, 'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 15000"

static json_t *hosts(void) {
    return calls_public(&slot.redis, "wp_hosts", NULL);
}

/* A text that wp_hosts says of a host; "" when there is none. Valid until the next call of it. */
static const char *of_host(const char *host, const char *name) {
    static char text[200];
    json_t *all = hosts();
    const char *value =
        json_string_value(json_object_get(json_object_get(json_object_get(all, "hosts"), host), name));
    snprintf(text, sizeof text, "%s", value ? value : "");
    json_decref(all);
    return text;
}

static bool is_alive(const char *host) {
    json_t *all = hosts();
    bool is = json_is_true(json_object_get(json_object_get(json_object_get(all, "hosts"), host), "alive"));
    json_decref(all);
    return is;
}

/* Its worker is alive for the next `us`, though the host's own heartbeat may say that it drains. */
static void hold_name(const char *host, const char *us) {
    char name[80];
    snprintf(name, sizeof name, "host.name %s", host);
    freeReplyObject(calls_function(&slot.redis, WP_SLOT_POOL, "hold", "owner", us, "pid 7 on m", name, NULL));
}

static void give_up(const char *host) {
    pool_host_event(&slot, host, "host_down", "forget");
}

Test(pool_forget, the_leases_of_one_whose_worker_has_stopped_are_lost_and_others_make_up_for_it) {
    pool_settings(&slot, "{'min_idle': 2, 'max_containers': 3, 'prewarms': {'react': 2}}");
    pool_warm(&slot, "react", 3);
    pool_acquire(&slot, .id = "r1");
    pool_host(&slot, "h2", 50, 0);
    pool_beat(&slot, "h1", 50, 0, "draining");
    give_up("h1");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(
        pool_answer_str(&slot, "r1", "reason"),
        "host_forgotten: the host h1 was given up (warmpool hosts forget); what ran there counts "
        "as dead");
    cr_assert_eq(pool_commands(&slot, "create"), 2, "its two idle ones");
    cr_assert_str_eq(record_str(&slot.answer, record_find(&slot.answer, 2, 0), "host"), "h2");
    cr_assert_str_eq(of_host("h1", "state"), "", "its row is gone");
    give_up("h1");
    cr_assert_eq(slot.answer.count, 0, "it is given up once");
}

Test(pool_forget, one_that_is_alive_is_not_given_up) {
    pool_warm(&slot, "react", 1);
    give_up("h1");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1, "its heartbeat is in time");
    pool_beat(&slot, "h1", 50, 0, "draining");
    hold_name("h1", "4000000");
    cr_assert(is_alive("h1"));
    give_up("h1");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1, "its next worker has come");
    hold_name("h1", "0");
    cr_assert(!is_alive("h1"));
    give_up("h1");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

/* So many leases on a host whose worker has stopped. */
static void lease_and_drain(int count) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 300, 'size': 300, 'lease_ms': 0}");
    pool_beat_with(&slot, "h1",
                   "{'capacity': 300, 'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 15000}");
    pool_warm(&slot, "react", count);
    pool_acquire_many(&slot, 0, count, "react");
    pool_beat(&slot, "h1", 300, 0, "draining");
}

Test(pool_forget, one_that_comes_back_between_two_steps_keeps_the_rest) {
    lease_and_drain(250);
    give_up("h1");
    cr_assert_eq(record_count(&slot.answer, 1), 100, "a step");
    pool_beat(&slot, "h1", 300, 0, "up");
    cr_assert_eq(pool_follow(&slot).assignments, 100);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 150);
    pool_check(&slot.redis);
}

Test(pool_forget, every_step_says_why) {
    lease_and_drain(150);
    give_up("h1");
    size_t next = record_find(&slot.answer, 6, 0);
    cr_assert_str_eq(record_str(&slot.answer, next, "detail"), "continue forget");
    pool_host_event(&slot, "h1", "host_down", "continue forget");
    cr_assert_eq(record_count(&slot.answer, 1), 50);
    cr_assert(
        strstr(record_str(&slot.answer, record_find(&slot.answer, 1, 49), "reason"), "host_forgotten: "));
    pool_check(&slot.redis);
}

Test(pool_forget, a_host_that_was_dropped_comes_back_and_nothing_has_to_be_recovered) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    char container[100], beat[300];
    snprintf(container, sizeof container, "%s", pool_answer_str(&slot, "r1", "container_id"));
    pool_beat(&slot, "h1", 50, 0, "draining");
    give_up("h1");
    const char *made = strrchr(container, '-') + 1;
    snprintf(beat, sizeof beat, "{" BEAT ", 'oldest': %s, 'newest': %s}", made, made);
    cr_assert_eq(pool_beat_with(&slot, "h1", beat), 1, "not 2: Redis has lost nothing");
    cr_assert_str_eq(pool_state(&slot, container), "", "so its host destroys it");
    snprintf(beat, sizeof beat, "{" BEAT ", 'oldest': %s, 'newest': %s9}", made, made);
    cr_assert_eq(pool_beat_with(&slot, "h2", beat), 2, "a number that these data never had");
    freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{pool}:meta born 2000"));
    snprintf(beat, sizeof beat, "{" BEAT ", 'oldest': 1000, 'newest': %s}", made);
    cr_assert_eq(pool_beat_with(&slot, "h2", beat), 2, "one from before these data");
}

Test(pool_forget, hosts_are_told_with_their_states) {
    pool_host(&slot, "h2", 5, 1000);
    pool_host(&slot, "h3", 5, 0);
    pool_beat(&slot, "h3", 5, 0, "draining");
    pool_host(&slot, "h4", 5, 0);
    pool_beat(&slot, "h4", 5, 0, "draining");
    give_up("h4");
    hold_name("h2", "4000000");
    cr_expect_str_eq(of_host("h1", "state"), "up");
    cr_expect_str_eq(of_host("h1", "worker"), "");
    cr_expect_str_eq(of_host("h2", "worker"), "pid 7 on m");
    cr_expect_str_eq(of_host("h3", "state"), "draining");
    cr_expect_str_eq(of_host("h4", "state"), "");
    json_t *all = hosts();
    cr_expect(json_number_at(all, "gone", "h4", "gone_ms", NULL) < 60000);
    cr_expect_eq(json_number_at(all, "hosts", "h2", "memory_mb", NULL), 1000);
    json_decref(all);
    pool_advance_time(&slot, 16);
    cr_expect_str_eq(of_host("h1", "state"), "silent");
    all = hosts();
    cr_expect_geq(json_number_at(all, "hosts", "h1", "heartbeat_ms", NULL), 16000);
    json_decref(all);
}

Test(pool_forget, the_containers_of_a_host_are_told_in_pages) {
    pool_settings(&slot, "{'max_containers': 300, 'size': 300}");
    pool_beat_with(&slot, "h1",
                   "{'capacity': 300, 'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 15000}");
    pool_warm(&slot, "react", 230);
    pool_acquire(&slot, .id = "r1");
    json_t *first = calls_public(&slot.redis, "wp_host", "h1", NULL);
    const char *next = json_string_value(json_object_get(first, "next"));
    cr_assert_eq(json_array_size(json_object_get(first, "containers")), 200);
    json_t *second = calls_public(&slot.redis, "wp_host", "h1", next, NULL);
    cr_assert_eq(json_array_size(json_object_get(second, "containers")), 30);
    cr_assert_null(json_object_get(second, "next"));
    int leased = 0;
    size_t i;
    json_t *container;
    json_array_extend(json_object_get(first, "containers"), json_object_get(second, "containers"));
    json_array_foreach(json_object_get(first, "containers"), i, container) {
        const char *request = json_string_value(json_object_get(container, "request_id"));
        if (strcmp(json_string_value(json_object_get(container, "state")), "leased") != 0) continue;
        leased++;
        cr_expect_str_eq(request, "r1");
    }
    cr_expect_eq(leased, 1);
    json_decref(first);
    json_decref(second);
    json_t *none = calls_public(&slot.redis, "wp_host", "nobody", NULL);
    cr_expect_eq(json_array_size(json_object_get(none, "containers")), 0);
    json_decref(none);
}

/* How many of these containers nobody needs any more, when another host replaces that one. */
static size_t left_by(const char *host, const char *first, const char *second) {
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "left", host, first, second, NULL);
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY, "%s", reply->str);
    size_t count = reply->elements;
    if (count == 1) cr_expect_str_eq(reply->element[0]->str, first);
    freeReplyObject(reply);
    return count;
}

Test(pool_forget, what_a_host_left_may_be_removed_once_neither_it_nor_a_worker_of_its_name_is_known) {
    char left[100], other[100];
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    snprintf(left, sizeof left, "%s", pool_answer_str(&slot, "r1", "container_id"));
    cr_expect_eq(left_by("h1", left, "wp-react-7"), 0, "it is up");
    pool_host(&slot, "h2", 5, 0);
    pool_beat(&slot, "h1", 50, 0, "draining");
    cr_expect_eq(left_by("h1", left, "wp-react-7"), 0, "it may come back");
    give_up("h1");
    pool_acquire(&slot, .id = "r2");
    pool_ready_created(&slot);
    snprintf(other, sizeof other, "%s", pool_answer_str(&slot, "r2", "container_id"));
    hold_name("h1", "4000000");
    cr_expect_eq(left_by("h1", left, other), 0, "its next worker has come");
    hold_name("h1", "0");
    cr_expect_eq(left_by("h1", left, other), 1, "but not the one that is leased on another host");
}

Test(pool_forget, what_may_have_been_leased_before_redis_lost_its_data_stays) {
    const char *old = "wp-react-1000", *young = "wp-react-3000";
    pool_warm(&slot, "react", 1); /* numbers are drawn */
    freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{pool}:meta born 2000"));
    cr_expect_eq(left_by("gone", young, old), 1);
    cr_expect_eq(left_by("gone", old, "wp-react-99999999999999999"), 0);
    freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{pool}:meta recovered 1 covered 500"));
    cr_expect_eq(left_by("gone", old, young), 2, "a recovery has seen who was leased since then");
    freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{pool}:meta covered 2500"));
    cr_expect_eq(left_by("gone", young, old), 1);
}
