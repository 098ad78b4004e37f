/* The documented scenarios of pools and predictions, under their documented names, against a real Redis. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>

POOL_SUITE(documented);

Test(documented, test_pool_cold_start) {
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a1"), "", "nothing is idle: it waits");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_advance_time(&slot, 2);
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
    cr_assert_not(record_bool(&slot.answer, 0, "warm_start"));
    cr_assert_geq(pool_answer_number(&slot, "r1", "startup_us"), 2000000);
    cr_assert_geq(pool_answer_number(&slot, "r1", "wait_us"), 2000000);
    cr_assert_eq(pool_stat(&slot, "react", "cold_starts"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "warm_starts"), 0);
}

Test(documented, test_pool_warm_start) {
    pool_warm(&slot, "react", 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .agent = "a1"), "assigned");
    cr_assert(record_bool(&slot.answer, 0, "warm_start"));
    cr_assert_eq(pool_answer_number(&slot, "r1", "wait_us"), 0);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "address"), "127.0.0.1:7");
    cr_assert_eq(pool_stat(&slot, "react", "warm_starts"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

Test(documented, test_pool_release) {
    pool_warm(&slot, "react", 1);
    char container[100];
    pool_acquire(&slot, .id = "r1");
    snprintf(container, sizeof container, "%s", pool_answer_str(&slot, "r1", "container_id"));
    pool_release(&slot, "r1");
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "assigned");
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "container_id"), container);
}

Test(documented, test_pool_max_size_enforcement) {
    pool_settings(&slot, "{'size': 2}");
    const char *ids[] = {"r1", "r2", "r3"};
    for (int i = 0; i < 3; i++) {
        pool_acquire(&slot, .id = ids[i]);
        pool_ready_created(&slot);
    }
    pool_release(&slot, "r1");
    pool_release(&slot, "r2");
    cr_assert_eq(pool_commands(&slot, "destroy"), 0);
    pool_release(&slot, "r3");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1, "beyond the size it is destroyed, not dropped");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
}

Test(documented, test_pool_pre_warm) {
    pool_control(&slot, "react", "pre_warm", 3);
    cr_assert_eq(pool_commands(&slot, "create"), 3);
    pool_ready_created(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 3);
    pool_control(&slot, "react", "pre_warm", 3);
    cr_assert_eq(slot.answer.count, 0, "at least that many");
    pool_control(&slot, "react", "pre_warm", 100);
    cr_assert_eq(pool_commands(&slot, "create"), 7, "never past the size");
}

Test(documented, test_pool_stats) {
    pool_warm(&slot, "react", 4);
    pool_warm(&slot, "chain_of_thought", 1);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "utilization_percent"), 20);
    cr_assert_eq(pool_stat(&slot, "react", "pool_size"), 10);
    cr_assert_eq(pool_stat(&slot, "chain_of_thought", "available"), 1);
    cr_assert_eq(pool_stat(&slot, NULL, "available"), 3);
    cr_assert_eq(pool_stat(&slot, NULL, "leased"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "warm_start_rate_percent"), 100);
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    cr_assert(json_is_true(json_object_get(stats, "warm_start_enabled")));
    cr_assert_eq(json_number_at(stats, "pool_size", NULL), 10);
    json_decref(stats);
}

Test(documented, test_predictor_default_requirements) {
    pool_control(&slot, "react", "pre_warm", 0);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 50);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 256);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.execution_time_seconds"), 60);
    cr_assert_eq(pool_predicted(&slot, "react", "confidence"), 0);
}

Test(documented, test_predictor_learning_from_usage) {
    pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 54);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 216);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.execution_time_seconds"), 30);
    pool_usage(&slot, "react", 55, 220, 35);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 60);
    cr_assert_eq(pool_predicted(&slot, "chain_of_thought", "requirements.cpu_percent"), 50);
}

Test(documented, test_predictor_confidence) {
    for (int i = 0; i < 50; i++) pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(pool_predicted(&slot, "react", "confidence"), 0.5);
    for (int i = 0; i < 70; i++) pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(pool_predicted(&slot, "react", "confidence"), 1);
    cr_assert_eq(pool_predicted(&slot, "chain_of_thought", "confidence"), 0);
}

Test(documented, test_predictor_history_limit) {
    pool_settings(&slot, "{'history_size': 10}");
    for (int i = 0; i < 10; i++) pool_usage(&slot, "react", 10, 100, 1);
    for (int i = 0; i < 10; i++) pool_usage(&slot, "react", 50, 200, 2);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 10);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 60, "the old ones are gone");
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 240);
}
