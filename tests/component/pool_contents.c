/* What the public functions say of one pool: its containers with state and age, its waiting requests, and how
 * long the oldest one has waited. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(pool_contents);

static const char *text_of(const json_t *row, const char *name) {
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static double number_of(const json_t *row, const char *name) {
    return json_number_value(json_object_get(row, name));
}

static json_t *containers(const char *pool, const char *from, const char *count) {
    return calls_public(&slot.redis, "wp_pool_containers", pool, from, count, NULL);
}

static json_t *rows_of(const json_t *page) {
    return json_object_get(page, "containers");
}

/* The first container of a pool in that state, borrowed from the page. */
static const json_t *find(const json_t *page, const char *state) {
    json_t *row;
    size_t i;
    json_array_foreach(rows_of(page), i, row) if (strcmp(text_of(row, "state"), state) == 0) return row;
    return NULL;
}

Test(pool_contents, containers_have_a_state_an_age_and_their_lease) {
    pool_warm(&slot, "react", 2);
    pool_advance_time(&slot, 3);
    pool_acquire(&slot, .id = "r1", .agent = "a1", .tenant = "red", .lease_ms = 60000);
    pool_advance_time(&slot, 2);
    pool_control(&slot, "react", "pre_warm", 2);
    json_t *page = containers("react", "", "100");
    cr_assert_eq(json_array_size(rows_of(page)), 3);
    const json_t *leased = find(page, "leased"), *idle = find(page, "idle"),
                 *creating = find(page, "creating");
    cr_assert(leased && idle && creating);
    cr_assert_str_eq(text_of(leased, "request_id"), "r1");
    cr_assert_str_eq(text_of(leased, "agent_id"), "a1");
    cr_assert_str_eq(text_of(leased, "tenant"), "red");
    cr_assert_str_eq(text_of(leased, "host"), "h1");
    cr_assert_gt(number_of(leased, "lease_expires_at"), 1600000000000);
    cr_assert_geq(number_of(leased, "state_ms"), 2000);
    cr_assert_lt(number_of(leased, "state_ms"), 5000, "it counts from the lease on");
    cr_assert_geq(number_of(leased, "age_ms"), 5000);
    cr_assert_geq(number_of(idle, "state_ms"), 5000);
    cr_assert_null(json_object_get(idle, "request_id"));
    cr_assert_lt(number_of(creating, "age_ms"), 2000);
    cr_assert_null(json_object_get(page, "next"));
    json_decref(page);
}

Test(pool_contents, those_of_a_pool_whose_name_goes_on_are_not_among_them) {
    pool_warm(&slot, "react", 1);
    pool_warm(&slot, "react-1", 2);
    pool_warm(&slot, "rea", 1);
    json_t *page = containers("react", "", "100");
    cr_assert_eq(json_array_size(rows_of(page)), 1);
    json_decref(page);
    page = containers("react-1", "", "100");
    cr_assert_eq(json_array_size(rows_of(page)), 2);
    json_decref(page);
}

Test(pool_contents, pages_have_each_container_once_over_all_hosts) {
    pool_host(&slot, "h2", 50, 0);
    pool_host(&slot, "h3", 50, 0);
    pool_settings(&slot, "{'size': 60, 'max_containers': 60}");
    pool_warm(&slot, "react", 25);
    json_t *seen = json_object(), *row;
    char from[200] = "";
    int pages = 0;
    do {
        json_t *page = containers("react", from, "4");
        size_t i;
        cr_assert_leq(json_array_size(rows_of(page)), 4);
        json_array_foreach(rows_of(page), i, row) {
            cr_assert_null(json_object_get(seen, text_of(row, "container_id")), "it was on an earlier page");
            json_object_set_new(seen, text_of(row, "container_id"), json_true());
        }
        snprintf(from, sizeof from, "%s", text_of(page, "next"));
        json_decref(page);
        pages++;
    } while (*from && pages < 20);
    cr_assert_eq(json_object_size(seen), 25);
    cr_assert_geq(pages, 7);
    json_decref(seen);
}

Test(pool_contents, of_a_pool_that_is_not_there_both_are_empty) {
    json_t *page = containers("nobody", "", "");
    cr_assert_eq(json_array_size(rows_of(page)), 0);
    cr_assert(json_is_array(rows_of(page)));
    json_decref(page);
    page = calls_public(&slot.redis, "wp_waiting", "nobody", NULL);
    cr_assert(json_is_array(json_object_get(page, "waiting")));
    cr_assert_eq(json_array_size(json_object_get(page, "waiting")), 0);
    json_decref(page);
    page = containers("*[(", "h1 wp-", "-7");
    cr_assert_eq(json_array_size(rows_of(page)), 0, "whatever it is asked");
    json_decref(page);
}

Test(pool_contents, waiting_requests_come_oldest_first_with_how_long_they_wait) {
    pool_beat(&slot, "h1", 0, 0, "draining");
    pool_acquire(&slot, .id = "r1", .agent = "a1", .tenant = "red", .timeout_ms = 60000);
    pool_advance_time(&slot, 4);
    pool_acquire(&slot, .id = "r2", .timeout_ms = 60000, .memory = 700);
    json_t *page = calls_public(&slot.redis, "wp_waiting", "react", "0", "10", NULL);
    json_t *waiting = json_object_get(page, "waiting");
    cr_assert_eq(json_array_size(waiting), 2);
    const json_t *first = json_array_get(waiting, 0), *second = json_array_get(waiting, 1);
    cr_assert_str_eq(text_of(first, "request_id"), "r1");
    cr_assert_str_eq(text_of(first, "tenant"), "red");
    cr_assert_geq(number_of(first, "waited_ms"), 4000);
    cr_assert_leq(number_of(first, "timeout_ms"), 56000);
    cr_assert_lt(number_of(second, "waited_ms"), 4000);
    cr_assert_eq(number_of(second, "memory_mb"), 700);
    json_decref(page);
    page = calls_public(&slot.redis, "wp_waiting", "react", "1", "10", NULL);
    cr_assert_eq(json_array_size(json_object_get(page, "waiting")), 1, "from the second one on");
    json_decref(page);
}

Test(pool_contents, the_stats_of_a_pool_say_its_oldest_request_and_its_bounds) {
    pool_settings(&slot, "{'max_containers': 7, 'max_containers_of': {'other': 0}}");
    pool_warm(&slot, "other", 1);
    cr_assert_eq(pool_stat(&slot, "other", "oldest_waiting_ms"), 0, "nobody waits");
    pool_acquire(&slot, .id = "r1", .timeout_ms = 5000);
    pool_advance_time(&slot, 3);
    cr_assert_geq(pool_stat(&slot, "react", "oldest_waiting_ms"), 3000);
    cr_assert_eq(pool_stat(&slot, "react", "max_containers"), 7);
    cr_assert_eq(pool_stat(&slot, "other", "max_containers"), 0, "no limit");
    pool_advance_time(&slot, 3);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "rejected"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "lost"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "oldest_waiting_ms"), 0);
}
