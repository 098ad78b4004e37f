/* The {pool} slot after Redis has forgotten everything: what was leased stays leased, who waits is answered,
 * and nobody is told anything before all is known. */
#include "pool/recover_calls.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "support/pool_check.h"
#include "support/pool_suite.h"

POOL_SUITE(pool_recover);

/* Rows that go to Redis in one call. */
struct rows {
    struct wp_buf packed;
    uint32_t count;
};

static void add_lease(struct rows *rows, const char *id, const char *container, const char *tenant,
                      int64_t expires_ms) {
    json_t *limits = json_pack("{s:f, s:f}", "cpu_percent", 50.0, "memory_mb", 256.0);
    json_t *assignment = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:f, s:I, s:I, s:s, s:s}", "request_id", id, "agent_id",
        "agent-1", "philosophy", "react", "container_id", container, "host", "h1", "address", "10.0.0.1",
        "limits", limits, "startup_time_ms", 12.5, "lease_epoch", (json_int_t)77, "lease_expires_at",
        (json_int_t)expires_ms, "basis", "default", "tier", "cold");
    wp_pack_lease(&rows->packed, assignment, WP_STR("key"), wp_str(tenant));
    json_decref(assignment);
    rows->count++;
}

static void add_waiting(struct rows *rows, const struct wp_acquire *acquire, int64_t age_ms) {
    union wp_event event = {.acquire = *acquire};
    struct wp_meta meta = {.record_age_ms = age_ms, .key = WP_STR("key"), .trace = WP_STR("")};
    wp_pack_waiting(&rows->packed, &meta, &event);
    rows->count++;
}

static struct wp_acquire acquire_of(const char *id) {
    return (struct wp_acquire){.request_id = wp_str(id),
                               .agent_id = WP_STR("agent-1"),
                               .philosophy = WP_STR("react"),
                               .timeout_ms = 30000,
                               .lease_ms = WP_ABSENT,
                               .cpu_percent = (double)NAN,
                               .memory_mb = (double)NAN};
}

static void add_ended(struct rows *rows, const char *id) {
    wp_pack_ended(&rows->packed, wp_str(id));
    rows->count++;
}

/* How many leases were put; last: with it all is known; covered_us: see recover.lua. */
static int64_t hand_over(struct rows *rows, bool last, const char *covered_us) {
    struct wp_buf all = {0};
    wp_pack_array(&all, rows->count);
    wp_buf_add(&all, rows->packed.data, rows->packed.len);
    struct wp_str args[] = {last ? WP_STR("end") : WP_STR(""), wp_str(covered_us), wp_buf_str(&all)};
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "recover", args, 3);
    cr_assert_eq(reply->type, REDIS_REPLY_INTEGER, "recover: %s", reply->str);
    int64_t leases = reply->integer;
    freeReplyObject(reply);
    wp_buf_done(&all);
    wp_buf_done(&rows->packed);
    *rows = (struct rows){0};
    pool_check(&slot.redis);
    return leases;
}

static int64_t recover(struct rows *rows) {
    return hand_over(rows, true, "0");
}

/* The suite's host is forgotten, too. */
static void forget(void) {
    freeReplyObject(redisCommand(slot.redis.connection, "FLUSHALL"));
}

#define KEEPS                                                                                                \
    "{'capacity': 50, 'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 15000, 'claims': "       \
    "true, 'oldest': 1000, 'newest': 1000}"

static void come_back(void) {
    cr_assert_eq(pool_beat_with(&slot, "h1", KEEPS), 1);
    pool_host_event(&slot, "h1", "host_up", "");
}

static bool is_refused(const char *function) {
    redisReply *reply = redisCommand(slot.redis.connection, "FCALL_RO %s 1 wp:{pool} %s h1", function, "");
    bool is = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOTREGISTERED", 13) == 0;
    freeReplyObject(reply);
    return is;
}

Test(pool_recover, a_host_with_containers_is_told_nothing_before_all_is_known) {
    struct rows rows = {0};
    forget();
    cr_assert_eq(pool_beat_with(&slot, "h1", KEEPS), 2);
    cr_assert(is_refused("wp_owned_v2"));
    cr_assert(is_refused("wp_desired_v2"));
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    hand_over(&rows, false, "0");
    recover(&rows);
    cr_assert_eq(pool_beat_with(&slot, "h1", KEEPS), 1);
    cr_assert(!is_refused("wp_owned_v2"));
}

Test(pool_recover, what_was_leased_is_leased_to_the_same_request) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    cr_assert_eq(recover(&rows), 1);
    come_back();
    cr_assert_str_eq(pool_state(&slot, "wp-react-1000"), "leased");
    cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .agent = "agent-1"), "assigned", "the same answer");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "container_id"), "wp-react-1000");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "address"), "10.0.0.1");
    cr_assert_eq(pool_answer_number(&slot, "r1", "lease_epoch"), 77);
    cr_assert_eq(pool_answer_number(&slot, "r1", "startup_us"), 12500);
}

Test(pool_recover, after_its_lease_a_container_serves_its_own_tenant) {
    struct rows rows = {0};
    forget();
    pool_settings(&slot, "{'max_containers': 1}");
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    recover(&rows);
    come_back();
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_state(&slot, "wp-react-1000"), "resetting", "it may have been given a claim");
    pool_done(&slot, "wp-react-1000", "reset");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .tenant = "red"), "assigned");
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "container_id"), "wp-react-1000");
}

Test(pool_recover, one_whose_tenant_is_not_known_serves_nobody_else) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r1", "wp-react-1000", "", 0);
    recover(&rows);
    come_back();
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_commanded(&slot, "destroy", 0), "wp-react-1000");
    pool_event(&slot, "wp-react-1000", "gone", "");
    cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 0);
}

Test(pool_recover, a_lease_that_has_expired_meanwhile_is_said_to_be_lost) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r1", "wp-react-1000", "red", 1000);
    recover(&rows);
    come_back();
    pool_advance_time(&slot, 1);
    pool_sweep_due(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(pool_reason(&slot, "r1"), "lease_expired");
    cr_assert_str_eq(pool_commanded(&slot, "destroy", 0), "wp-react-1000");
}

Test(pool_recover, the_leases_of_a_host_that_does_not_come_back_are_lost) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    recover(&rows);
    pool_advance_time(&slot, 59);
    pool_host_event(&slot, "h1", "host_down", "");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    pool_advance_time(&slot, 2);
    pool_host_event(&slot, "h1", "host_down", "");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(pool_reason(&slot, "r1"), "host_down");
}

Test(pool_recover, the_leases_of_a_host_that_is_given_up_before_it_comes_back_are_lost_at_once) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    recover(&rows);
    pool_host_event(&slot, "h1", "host_down", "forget");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(pool_reason(&slot, "r1"), "host_forgotten");
}

Test(pool_recover, who_waited_waits_on_until_there_is_a_container) {
    struct rows rows = {0};
    struct wp_acquire acquire = acquire_of("r1");
    forget();
    add_waiting(&rows, &acquire, 5000);
    cr_assert_eq(recover(&rows), 0);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
    come_back();
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
}

Test(pool_recover, who_has_waited_for_long_enough_is_rejected) {
    struct rows rows = {0};
    struct wp_acquire young = acquire_of("r1"), old = acquire_of("r2");
    forget();
    add_waiting(&rows, &young, 20000);
    add_waiting(&rows, &old, 40000);
    recover(&rows);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_answer_of(&slot, "r1"), -1);
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "rejected");
    cr_assert_str_eq(pool_reason(&slot, "r2"), "timeout");
}

Test(pool_recover, a_claim_is_not_lost_with_it) {
    struct rows rows = {0};
    struct wp_acquire acquire = acquire_of("r1");
    forget();
    acquire.claim = WP_STR("\x02\x0atoken\x0cs3cret\0"); /* Avro: a block of 1, two strings, the end */
    add_waiting(&rows, &acquire, 0);
    recover(&rows);
    come_back();
    char container[80];
    snprintf(container, sizeof container, "%s", pool_commanded(&slot, "create", 0));
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_state(&slot, container), "binding");
    cr_assert_str_eq(pool_wanted(&slot, container, "claim"), "{\"token\":\"s3cret\"}");
}

Test(pool_recover, who_had_the_last_answer_gets_no_other) {
    struct rows rows = {0};
    forget();
    add_ended(&rows, "r1");
    recover(&rows);
    come_back();
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "");
    cr_assert_eq(pool_commands(&slot, "create"), 0);
}

Test(pool_recover, two_workers_that_hand_the_same_over_put_it_once) {
    struct rows rows = {0};
    struct wp_acquire acquire = acquire_of("r2");
    forget();
    for (int worker = 0; worker < 2; worker++) {
        add_lease(&rows, "r1", "wp-react-1000", "red", 0);
        add_waiting(&rows, &acquire, 0);
        add_ended(&rows, "r3");
        cr_assert_eq(hand_over(&rows, false, "0"), worker == 0);
    }
    recover(&rows);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
}

Test(pool_recover, what_happened_since_wins) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    hand_over(&rows, false, "0");
    pool_release(&slot, "r1");
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    cr_assert_eq(recover(&rows), 0);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 0);
}

Test(pool_recover, of_two_requests_that_had_a_container_one_holds_it) {
    struct rows rows = {0};
    forget();
    add_lease(&rows, "r2", "wp-react-1000", "red", 0);
    add_lease(&rows, "r1", "wp-react-1000", "red", 0);
    cr_assert_eq(recover(&rows), 1);
}

Test(pool_recover, a_container_from_before_kafkas_first_record_is_left_alone) {
    struct rows rows = {0};
    forget();
    hand_over(&rows, true, "5000");
    come_back();
    cr_assert_str_eq(pool_state(&slot, "wp-react-4999"), "unknown");
    cr_assert_str_eq(pool_state(&slot, "wp-react-5000"), "", "it was idle, and goes");
}
