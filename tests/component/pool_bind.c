/* Between two agents: whom a container may serve next, claims, resets, pauses, and containers that have
 * served for long enough. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "support/pool_check.h"
#include "support/pool_suite.h"

POOL_SUITE(pool_bind);

#define CLAIM "{\"token\":\"s3cret\"}"

static char id[80];

/* The container of the request, kept in `id`. */
static const char *container_of(const char *request) {
    snprintf(id, sizeof id, "%s", pool_answer_str(&slot, request, "container_id"));
    return id;
}

static bool is_warm(const char *request) {
    return json_is_true(record_value(&slot.answer, (size_t)pool_answer_of(&slot, request), "warm_start"));
}

static void expect_waits(const char *request, const char *agent, const char *tenant) {
    cr_expect_str_eq(pool_acquire(&slot, .id = request, .agent = agent, .tenant = tenant), "",
                     "%s is answered at once", request);
}

/* ---- whom it may serve ---- */

Test(pool_bind, a_used_container_serves_its_own_tenant_only_by_default) {
    pool_settings(&slot, "{'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .tenant = "red");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_acquire(&slot, .id = "r2", .agent = "b", .tenant = "red"), "assigned");
    pool_release(&slot, "r2");
    expect_waits("r3", "a", "blue");
}

Test(pool_bind, same_agent_hands_it_to_nobody_else) {
    pool_settings(&slot, "{'max_containers': 1, 'reuse': 'same_agent'}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .tenant = "red");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_acquire(&slot, .id = "r2", .agent = "a", .tenant = "red"), "assigned");
    pool_release(&slot, "r2");
    expect_waits("r3", "b", "red");
}

Test(pool_bind, same_agent_hands_it_to_no_agent_of_that_name_that_is_another_tenants) {
    pool_settings(&slot, "{'max_containers': 1, 'reuse': 'same_agent'}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .tenant = "red");
    pool_release(&slot, "r1");
    expect_waits("r2", "a", "blue");
}

Test(pool_bind, an_agent_named_like_the_mark_of_fresh_ones_gives_nothing_away) {
    pool_settings(&slot, "{'max_containers': 1, 'reuse': 'same_agent'}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "!");
    pool_release(&slot, "r1");
    expect_waits("r2", "b", NULL);
}

Test(pool_bind, always_hands_it_to_everybody) {
    pool_settings(&slot, "{'max_containers': 1, 'reuses': {'react': 'always'}}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .tenant = "red");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_acquire(&slot, .id = "r2", .agent = "b", .tenant = "blue"), "assigned");
}

Test(pool_bind, never_destroys_it_after_its_first_use) {
    pool_settings(&slot, "{'reuse': 'never'}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    container_of("r1");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id);
}

Test(pool_bind, with_never_one_that_waits_gets_a_fresh_one) {
    pool_settings(&slot, "{'reuse': 'never', 'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    container_of("r1");
    expect_waits("r2", "a", NULL);
    pool_release(&slot, "r1");
    cr_expect_lt(pool_answer_of(&slot, "r2"), 0);
    pool_event(&slot, id, "gone", "");
    pool_ready_created(&slot);
    cr_expect_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
    cr_expect_not(is_warm("r2"));
}

/* ---- served for long enough ---- */

Test(pool_bind, a_container_goes_after_max_uses) {
    pool_settings(&slot, "{'max_uses': 2}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    pool_release(&slot, "r1");
    cr_expect_eq(pool_commands(&slot, "destroy"), 0);
    pool_acquire(&slot, .id = "r2", .agent = "a");
    container_of("r2");
    pool_release(&slot, "r2");
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id);
    pool_event(&slot, id, "gone", "");
    redisReply *uses = test_redis_command(&slot.redis, "HLEN wp:{pool}:uses");
    cr_expect_eq(uses->integer, 0, "its uses are forgotten");
    freeReplyObject(uses);
}

Test(pool_bind, an_idle_container_goes_after_idle_ttl) {
    pool_settings(&slot, "{'idle_ttls': {'react': 30}}");
    pool_warm(&slot, "react", 2);
    pool_advance_time(&slot, 20);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    pool_release(&slot, "r1"); /* idle anew */
    pool_advance_time(&slot, 11);
    pool_sweep_due(&slot);
    cr_expect_eq(pool_commands(&slot, "destroy"), 1);
    pool_advance_time(&slot, 20);
    pool_sweep_due(&slot);
    cr_expect_eq(pool_commands(&slot, "destroy"), 1);
    cr_expect_eq(pool_stat(&slot, "react", "available"), 0);
}

Test(pool_bind, a_container_goes_at_max_age_while_it_is_idle) {
    pool_settings(&slot, "{'max_age': 60}");
    pool_warm(&slot, "react", 3);
    pool_advance_time(&slot, 50);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    pool_advance_time(&slot, 11);
    pool_sweep_due(&slot);
    cr_expect_eq(pool_commands(&slot, "destroy"), 2);
    cr_expect_eq(pool_stat(&slot, "react", "leased"), 1, "nobody is disturbed");
    pool_release(&slot, "r1");
    cr_expect_eq(pool_commands(&slot, "destroy"), 1, "and then it goes, too");
}

/* ---- claims ---- */

Test(pool_bind, a_claim_is_bound_before_it_is_assigned) {
    pool_warm(&slot, "react", 1);
    cr_expect_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM), "",
                     "its host has to write it first");
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    cr_expect_str_eq(pool_state(&slot, id), "binding");
    cr_expect_str_eq(pool_wanted(&slot, id, "claim"), CLAIM);
    pool_advance_time(&slot, 0.5);
    pool_done(&slot, id, "bound");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
    cr_expect(is_warm("r1"));
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "tier"), "hot");
    json_t *startup = record_value(&slot.answer, (size_t)pool_answer_of(&slot, "r1"), "startup");
    cr_expect_geq(json_number_value(json_array_get(startup, 4)), 500000, "binding is among the parts");
    cr_expect_str_eq(pool_wanted(&slot, id, "claim"), "", "Redis has forgotten it");
}

Test(pool_bind, a_claim_that_was_bound_is_wiped_before_the_container_is_used_again) {
    pool_settings(&slot, "{'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_done(&slot, id, "bound");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_commanded(&slot, "reset", 0), id);
    cr_expect_str_eq(pool_state(&slot, id), "resetting");
    expect_waits("r2", "a", NULL);
    pool_event(&slot, id, "reset", "1");
    cr_expect_lt(pool_answer_of(&slot, "r2"), 0, "another reset's end is not this one's");
    pool_done(&slot, id, "reset");
    cr_expect_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
}

Test(pool_bind, a_request_whose_container_dies_while_it_is_bound_gets_another) {
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_event(&slot, id, "died", "exited");
    cr_expect_lt(pool_answer_of(&slot, "r1"), 0, "nothing is lost that nobody had");
    pool_ready_created(&slot);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    cr_assert_str_eq(pool_wanted(&slot, id, "claim"), CLAIM);
    pool_done(&slot, id, "bound");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
}

/* Its host has said `bound`, then that it has ended, and the events of both are not read yet. */
Test(pool_bind, a_container_that_has_ended_is_not_handed_out_by_the_late_word_that_it_is_bound) {
    char number[32];
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    snprintf(number, sizeof number, "%s", pool_wanted(&slot, id, "number"));
    freeReplyObject(calls_function(&slot.redis, WP_SLOT_POOL, "ended", id, NULL));
    pool_event(&slot, id, "bound", number);
    cr_expect_lt(pool_answer_of(&slot, "r1"), 0);
    pool_event(&slot, id, "died", "dying");
    cr_expect_lt(pool_answer_of(&slot, "r1"), 0, "nothing is lost that nobody had");
    pool_ready_created(&slot);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_done(&slot, id, "bound");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
}

Test(pool_bind, cancelled_while_it_is_bound_its_container_serves_nobody) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_reason(&slot, "r1"), "cancelled");
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id);
}

Test(pool_bind, timed_out_while_it_is_bound_it_is_rejected) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM, .timeout_ms = 2000);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_advance_time(&slot, 3);
    pool_sweep_due(&slot);
    cr_expect_lt(pool_answer_of(&slot, "r1"), 0, "it has its container, and a few seconds for it");
    pool_advance_time(&slot, 3);
    pool_sweep_due(&slot);
    cr_expect_str_eq(pool_reason(&slot, "r1"), "timeout");
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id);
}

Test(pool_bind, who_does_not_wait_for_a_container_waits_for_its_binding) {
    pool_warm(&slot, "react", 1);
    cr_expect_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM, .timeout_ms = POOL_ZERO),
                     "");
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_sweep_due(&slot);
    pool_done(&slot, id, "bound");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
}

Test(pool_bind, asked_again_while_it_is_bound_nothing_more_is_said) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM);
    cr_expect_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM), "");
    cr_expect_eq(pool_commands(&slot, "bind"), 0);
}

Test(pool_bind, the_end_of_an_older_binding_hands_nothing_out) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM);
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_event(&slot, id, "bound", "1");
    cr_expect_lt(pool_answer_of(&slot, "r1"), 0);
    pool_done(&slot, id, "bound");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
    pool_done(&slot, id, "bound"); /* doubled */
    cr_expect_lt(pool_answer_of(&slot, "r1"), 0);
}

Test(pool_bind, the_claim_of_one_that_waits_is_kept_until_it_is_answered) {
    pool_settings(&slot, "{'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    pool_acquire(&slot, .id = "r2", .agent = "a", .claim = CLAIM);
    redisReply *claims = test_redis_command(&slot.redis, "HGET wp:{pool}:claims r2");
    cr_expect_str_eq(claims->str, CLAIM);
    freeReplyObject(claims);
    pool_release(&slot, "r2"); /* pool_check sees that it is gone */
    cr_expect_str_eq(pool_reason(&slot, "r2"), "cancelled");
}

/* ---- resets ---- */

Test(pool_bind, a_pool_with_a_reset_command_resets_before_each_next_use) {
    pool_settings(&slot, "{'resets': {'react': true}}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    container_of("r1");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_state(&slot, id), "resetting");
    cr_expect_eq(pool_stat(&slot, "react", "resetting"), 1);
    pool_done(&slot, id, "reset");
    cr_expect_str_eq(pool_state(&slot, id), "idle");
}

Test(pool_bind, an_empty_command_of_its_own_resets_nothing) {
    pool_settings(&slot, "{'reset': true, 'resets': {'react': false}}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    container_of("r1");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_state(&slot, id), "idle");
}

Test(pool_bind, one_that_dies_of_its_reset_is_replaced_for_who_waits) {
    pool_settings(&slot, "{'reset': true, 'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    container_of("r1");
    expect_waits("r2", "a", NULL);
    pool_release(&slot, "r1");
    pool_event(&slot, id, "died", "not_prepared: its reset command ended with status 1");
    pool_ready_created(&slot);
    cr_expect_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
}

/* ---- pauses ---- */

Test(pool_bind, idle_ones_beyond_the_hot_number_are_paused) {
    pool_settings(&slot, "{'hot': 2}");
    pool_warm(&slot, "react", 5);
    cr_expect_eq(pool_commands(&slot, "pause"), 3);
    cr_expect_str_eq(pool_state(&slot, pool_commanded(&slot, "pause", 0)), "paused");
    cr_expect_eq(pool_stat(&slot, "react", "available"), 5);
    cr_expect_eq(pool_stat(&slot, "react", "paused"), 3);
}

Test(pool_bind, those_that_run_are_assigned_first_then_paused_ones_once_they_run) {
    pool_settings(&slot, "{'hots': {'react': 1}}");
    pool_warm(&slot, "react", 2);
    cr_expect_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a"), "assigned");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "tier"), "hot");
    cr_expect_str_eq(pool_acquire(&slot, .id = "r2", .agent = "a"), "", "it has to be unpaused");
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_done(&slot, id, "bound");
    cr_expect_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
    cr_expect_str_eq(pool_answer_str(&slot, "r2", "tier"), "paused");
    cr_expect(is_warm("r2"));
    pool_release(&slot, "r2");
    cr_expect_str_eq(pool_state(&slot, id), "idle", "there is room among those that run");
    pool_release(&slot, "r1");
    cr_expect_eq(pool_commands(&slot, "pause"), 1);
}

Test(pool_bind, a_paused_one_that_was_used_serves_its_own_tenant_only) {
    pool_settings(&slot, "{'hot': 0, 'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a", .tenant = "red");
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "bind", 0));
    pool_done(&slot, id, "bound");
    pool_release(&slot, "r1");
    cr_expect_str_eq(pool_state(&slot, id), "paused");
    pool_acquire(&slot, .id = "r2", .agent = "a", .tenant = "blue");
    cr_expect_eq(pool_commands(&slot, "bind"), 0);
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id, "it makes room for a fresh one");
}

/* ---- parts of a start ---- */

Test(pool_bind, a_cold_start_says_what_its_time_was_spent_on) {
    cr_expect_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a"), "");
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "create", 0));
    pool_advance_time(&slot, 1);
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_EVENT), "sssssssdddd", id, "react", "h1", "ready", "",
              "10.0.0.1", "agent:1", 100.0, 200.0, 300.0, 50.0);
    pool_send(&slot, POOL_EVENT, &events);
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "tier"), "cold");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "image"), "agent:1");
    json_t *startup = record_value(&slot.answer, (size_t)pool_answer_of(&slot, "r1"), "startup");
    double sum = 0, part[6];
    for (size_t i = 0; i < 6; i++) sum += part[i] = json_number_value(json_array_get(startup, i));
    cr_expect_eq(part[1], 200000);
    cr_expect_eq(part[2], 300000);
    cr_expect_eq(part[3], 50000);
    cr_expect_eq(part[4], 0, "nothing was bound");
    cr_expect(part[5] >= 350000 && part[5] < 5000000, "the way of the command and of the event: %g us",
              part[5]);
    cr_expect_geq(part[0], 100000, "queued at the host");
    cr_expect_eq(sum, pool_answer_number(&slot, "r1", "startup_us"));
}

Test(pool_bind, a_warm_start_has_no_parts) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "tier"), "hot");
    cr_expect_not(json_is_array(record_value(&slot.answer, (size_t)pool_answer_of(&slot, "r1"), "startup")));
}

/* ---- where claims are not taken ---- */

Test(pool_bind, where_no_host_takes_claims_they_are_rejected_and_say_why) {
    pool_beat_with(&slot, "h1",
                   "{'capacity': 9, 'memory_mb': 0, 'runtime': 'process', 'state': 'up', 'ttl_ms': 15000}");
    cr_expect_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a", .claim = CLAIM), "rejected");
    cr_expect(strstr(pool_answer_str(&slot, "r1", "reason"), "host.claims"));
}
