/* What pool-control does, and what leases, agents and ended requests leave behind. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

POOL_SUITE(pool_control);
POOL_SUITE(pool_leases);
POOL_SUITE(pool_agents);

static int64_t sweep(void) {
    char *settings = json_dumps(slot.settings, 0);
    int64_t removed = calls_sweep(&slot.redis, WP_SLOT_POOL, settings);
    free(settings);
    return removed;
}

static void control_with_id(const char *id, const char *op, int count) {
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_CONTROL), "sssi", id, "react", op, count);
    pool_send(&slot, POOL_CONTROL, &events);
}

Test(pool_control, a_pre_warm_counts_what_is_idle_or_being_made) {
    pool_acquire(&slot, .id = "r1"); /* its create is not idle later */
    pool_control(&slot, "react", "pre_warm", 3);
    cr_assert_eq(pool_commands(&slot, "create"), 3);
    pool_control(&slot, "react", "pre_warm", 3);
    cr_assert_eq(slot.answer.count, 0);
    pool_control(&slot, "react", "pre_warm", -1);
    cr_assert_eq(pool_commands(&slot, "create"), 7, "no count: the size");
}

Test(pool_control, a_pre_warm_of_a_failed_create_makes_it_again_later) {
    pool_control(&slot, "react", "pre_warm", 2);
    char id[100];
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "create", 0));
    pool_event(&slot, id, "failed", "no image");
    pool_advance_time(&slot, 1);
    pool_sweep_due(&slot);
    pool_control(&slot, "react", "pre_warm", 2);
    cr_assert_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_control, a_resize_is_kept_and_wins) {
    pool_settings(&slot, "{'sizes': {'react': 4}}");
    pool_warm(&slot, "react", 9);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 4);
    pool_control(&slot, "react", "resize", 6);
    pool_warm(&slot, "react", 9);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 6);
    cr_assert_eq(pool_stat(&slot, "react", "pool_size"), 6);
    pool_control(&slot, "react", "resize", 2);
    cr_assert_eq(pool_commands(&slot, "destroy"), 4);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
    pool_control(&slot, "react", "resize", 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

Test(pool_control, a_resize_far_down_goes_in_steps) {
    slot.unchecked = true;
    pool_host(&slot, "h1", 500, 0);
    pool_settings(&slot, "{'size': 240, 'max_containers': 300}");
    pool_warm(&slot, "react", 240);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 240);
    pool_control(&slot, "react", "resize", 10);
    cr_assert_eq(pool_commands(&slot, "destroy"), 100);
    cr_assert_eq(pool_follow(&slot).commands, 230);
    pool_check(&slot.redis);
}

Test(pool_control, expire_destroys_and_refills) {
    pool_warm(&slot, "react", 3);
    pool_control(&slot, "react", "expire", 2);
    cr_assert_eq(pool_commands(&slot, "destroy"), 2);
    cr_assert_eq(pool_commands(&slot, "create"), 2);
    pool_ready_created(&slot);
    pool_control(&slot, "react", "expire", -1);
    cr_assert_eq(pool_commands(&slot, "destroy"), 3);
    cr_assert_eq(pool_commands(&slot, "create"), 3);
    pool_control(&slot, "nobody", "expire", -1);
    cr_assert_eq(slot.answer.count, 0);
}

Test(pool_control, a_drain_refuses_destroys_and_lets_leases_run_out) {
    pool_warm(&slot, "react", 3);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2", .memory = 5000);
    pool_control(&slot, "react", "drain", -1);
    cr_assert_str_eq(pool_reason(&slot, "r2"), "draining");
    cr_assert_eq(pool_commands(&slot, "destroy"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    pool_control(&slot, "react", "pre_warm", 3);
    cr_assert_eq(slot.answer.count, 0);
    pool_release(&slot, "r1");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
}

/* Drains the philosophy, for which 250 requests wait, to the end. Returns the records of the first step. */
static size_t drain_many(const char *philosophy) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 1}");
    struct test_events events = {0};
    for (int i = 0; i < 250; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, i, &(struct pool_request){.id = id, .philosophy = philosophy});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
    pool_control(&slot, philosophy, "drain", -1);
    size_t first = (size_t)record_count(&slot.answer, 1);
    cr_assert_eq(pool_follow(&slot).assignments, 250);
    pool_check(&slot.redis);
    return first;
}

Test(pool_control, a_drain_of_many_goes_in_steps) {
    cr_assert_eq(drain_many("react"), 100);
}

/* An event that asks for whatever is due has "-" for its philosophy. */
Test(pool_control, so_does_that_of_a_philosophy_called_dash) {
    cr_assert_eq(drain_many("-"), 100);
}

Test(pool_control, one_with_an_id_acts_once) {
    pool_warm(&slot, "react", 2);
    control_with_id("c1", "expire", 1);
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    control_with_id("c1", "expire", 1);
    cr_assert_eq(slot.answer.count, 0);
    struct test_events events = {0};
    for (int i = 0; i < 2; i++)
        event_add(&events, pool_next(&slot, POOL_CONTROL) + i, "sssi", "c2", "react", "expire", 1);
    pool_send(&slot, POOL_CONTROL, &events);
    cr_assert_eq(pool_commands(&slot, "destroy"), 1, "nor twice in a batch");
}

/* ---- leases ---- */

Test(pool_leases, one_that_expires_is_lost_and_its_container_destroyed) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .lease_ms = 5000);
    pool_advance_time(&slot, 4);
    pool_sweep_due(&slot);
    cr_assert_eq(slot.answer.count, 0);
    pool_advance_time(&slot, 2);
    pool_sweep_due(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(pool_reason(&slot, "r1"), "lease_expired");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    pool_sweep_due(&slot);
    cr_assert_eq(slot.answer.count, 0);
}

Test(pool_leases, one_of_zero_never_expires) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .lease_ms = POOL_ZERO);
    cr_assert_eq(pool_answer_number(&slot, "r1", "lease_expires_ms"), 0);
    pool_advance_time(&slot, 1e7);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
}

Test(pool_leases, many_that_are_due_go_100_at_a_time) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 1}");
    struct test_events events = {0};
    for (int i = 0; i < 250; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, i, &(struct pool_request){.id = id, .timeout_ms = 1000});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
    pool_advance_time(&slot, 2);
    pool_sweep_due(&slot);
    cr_assert_eq(record_count(&slot.answer, 1), 100);
    struct pool_followed all = pool_follow(&slot);
    cr_assert_eq(all.assignments, 250);
    cr_assert_eq(all.calls, 2);
    pool_check(&slot.redis);
}

Test(pool_leases, epochs_and_ids_grow_also_when_redis_has_forgotten) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    int64_t before = record_int(&slot.answer, 0, "lease_epoch");
    test_redis_flush(&slot.redis);
    for (int i = 0; i < POOL_TOPICS; i++) slot.last[i] = -1;
    pool_host(&slot, "h1", 50, 0);
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    cr_assert_gt(record_int(&slot.answer, 0, "lease_epoch"), before);
}

Test(pool_leases, are_listed_with_all_digits_of_their_epochs) {
    json_t *none = calls_public(&slot.redis, "wp_leases", NULL);
    cr_assert(json_is_array(none) && json_array_size(none) == 0);
    json_decref(none);
    pool_warm(&slot, "react", 3);
    int64_t epochs[3];
    const char *ids[] = {"r1", "r2", "r3"};
    for (int i = 0; i < 3; i++) {
        pool_acquire(&slot, .id = ids[i], .agent = "a", .tenant = "red");
        epochs[i] = record_int(&slot.answer, 0, "lease_epoch");
    }
    json_t *all = calls_public(&slot.redis, "wp_leases", "0", "10", NULL), *lease;
    cr_assert_eq(json_array_size(all), 3);
    size_t i;
    json_array_foreach(all, i, lease) {
        int at = json_string_value(json_object_get(lease, "request_id"))[1] - '1';
        cr_assert_eq(json_integer_value(json_object_get(lease, "lease_epoch")), epochs[at]);
        cr_assert_str_eq(json_string_value(json_object_get(lease, "tenant")), "red");
        cr_assert_str_eq(json_string_value(json_object_get(lease, "agent_id")), "a");
        cr_assert_gt(json_number_at(lease, "lease_expires_at", NULL), 1.6e12);
    }
    json_decref(all);
    all = calls_public(&slot.redis, "wp_leases", "2", "10", NULL);
    cr_assert_eq(json_array_size(all), 1);
    json_decref(all);
}

/* ---- agents ---- */

static json_t *agent(const char *id) {
    return calls_public(&slot.redis, "wp_agents", id, NULL);
}

Test(pool_agents, hold_a_container_and_their_last_figures) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a1");
    struct test_events events = {0};
    event_add(&events, 0, "sssd-d", "", "a1", "react", 12.5, 3.0);
    pool_send(&slot, POOL_USAGE, &events);
    json_t *a = agent("a1");
    cr_assert_str_eq(json_string_value(json_object_get(a, "request_id")), "r1");
    cr_assert_str_eq(json_string_value(json_object_get(a, "philosophy")), "react");
    cr_assert_eq(json_number_at(a, "cpu_percent", NULL), 12.5);
    cr_assert_null(json_object_get(a, "memory_mb"), "a missing figure is missing");
    json_decref(a);
    pool_release(&slot, "r1");
    a = agent("a1");
    cr_assert(json_is_object(a) && json_object_size(a) == 0);
    json_decref(a);
}

Test(pool_agents, are_forgotten_when_they_were_not_seen_for_long) {
    struct test_events events = {0};
    event_add(&events, 0, "sssd--", "", "a1", "react", 12.5);
    pool_send(&slot, POOL_USAGE, &events);
    pool_advance_time(&slot, 3599);
    cr_assert_eq(sweep(), 0);
    pool_advance_time(&slot, 2);
    cr_assert_eq(sweep(), 1);
    pool_check(&slot.redis);
}

Test(pool_agents, are_never_more_than_the_limit_and_leave_nothing_behind) {
    slot.unchecked = true;
    pool_settings(&slot, "{'agents_max': 3000, 'predict_interval_ms': 0}");
    for (int batch = 0; batch < 100; batch++) {
        struct test_events events = {0};
        for (int i = 0; i < 1000; i++) {
            char id[16];
            snprintf(id, sizeof id, "a%d", batch * 1000 + i);
            event_add(&events, batch * 1000 + i, "sssd--", "", id, "react", 1.0);
        }
        pool_send(&slot, POOL_USAGE, &events);
    }
    cr_assert_eq(test_redis_int(&slot.redis, "HLEN wp:{pool}:agents"), 3000);
    pool_advance_time(&slot, 4000);
    while (sweep() > 0) continue;
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:agents wp:{pool}:seen"), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "LLEN wp:{pool}:h:react"), 100);
}

/* ---- requests ---- */

Test(pool_leases, ended_requests_are_remembered_for_a_while) {
    pool_acquire(&slot, .id = "r1");
    pool_release(&slot, "r1");
    pool_advance_time(&slot, 598);
    cr_assert_eq(sweep(), 0);
    pool_advance_time(&slot, 4);
    cr_assert_eq(sweep(), 1);
    cr_assert_eq(test_redis_int(&slot.redis, "HLEN wp:{pool}:req"), 0);
    pool_check(&slot.redis);
}

Test(pool_leases, ended_requests_are_forgotten_by_those_that_end_later) {
    slot.unchecked = true;
    char id[16];
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof id, "old%d", i);
        pool_acquire(&slot, .id = id, .timeout_ms = POOL_ZERO);
    }
    pool_advance_time(&slot, 601);
    for (int i = 0; i < 2; i++) {
        snprintf(id, sizeof id, "new%d", i);
        pool_acquire(&slot, .id = id, .timeout_ms = POOL_ZERO);
    }
    cr_assert_eq(test_redis_int(&slot.redis, "HLEN wp:{pool}:req"), 2);
    pool_check(&slot.redis);
}

Test(pool_leases, ended_requests_are_never_more_than_the_limit) {
    pool_settings(&slot, "{'max_requests': 2}");
    const char *ids[] = {"r1", "r2", "r3", "r4"};
    for (int i = 0; i < 4; i++) pool_acquire(&slot, .id = ids[i], .timeout_ms = POOL_ZERO);
    cr_assert_eq(sweep(), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req r2"), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req r3"), 1);
}

Test(pool_leases, a_request_that_ended_twice_is_remembered_from_its_last_end) {
    pool_release(&slot, "r1"); /* before it was seen */
    pool_advance_time(&slot, 599);
    pool_acquire(&slot, .id = "r1");
    pool_advance_time(&slot, 10);
    sweep();
    pool_acquire(&slot, .id = "r1");
    cr_assert_eq(slot.answer.count, 0, "it had its one answer");
}
