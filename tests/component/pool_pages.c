/* The public read functions answer in pages: no answer grows with what the slot holds, and all pages together
 * are all of it. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "pool/pool_pages.h"

POOL_SUITE(pool_pages);

static void make_pools(int count) {
    struct test_events events = {0};
    slot.unchecked = true;
    for (int i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "p%d", i);
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE) + i,
                         &(struct pool_request){.id = name, .philosophy = name, .timeout_ms = POOL_ZERO});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
}

static json_t *page(struct wp_str from) {
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)from.len, from.ptr);
    return calls_public(&slot.redis, "wp_pool_stats", text, NULL);
}

Test(pool_pages, pools_come_in_pages_that_add_up) {
    make_pools(900);
    json_t *all = NULL;
    struct wp_str next = WP_STR("");
    int pages = 0;
    do {
        json_t *one = page(next);
        cr_assert_leq(json_object_size(json_object_get(one, "pools")), 400, "a page is bounded");
        cr_assert_eq(json_object_get(one, "hosts") != NULL, pages == 0);
        wp_pool_pages_add(&all, one);
        next = wp_pool_pages_next(all);
        pages++;
    } while (next.len > 0);
    cr_assert_gt(pages, 2);
    cr_assert_eq(json_object_size(json_object_get(all, "pools")), 900);
    cr_assert_eq(json_number_at(all, "total", "rejected", NULL), 900);
    cr_assert_not_null(json_object_get(json_object_get(all, "hosts"), "h1"));
    cr_assert_null(json_object_get(all, "next"), "the whole looks like a single answer");
    json_decref(all);
}

Test(pool_pages, few_pools_are_one_page) {
    make_pools(20);
    json_t *all = calls_public(&slot.redis, "wp_pool_stats", NULL);
    cr_assert_eq(json_object_size(json_object_get(all, "pools")), 20);
    cr_assert_null(json_object_get(all, "next"));
    json_decref(all);
}

static int read_leases(void) {
    int count = 0;
    for (size_t got = 1; got > 0;) {
        char start[24];
        snprintf(start, sizeof start, "%d", count);
        freeReplyObject(test_redis_command(&slot.redis, "CONFIG RESETSTAT"));
        json_t *rows = calls_public(&slot.redis, "wp_leases", start, "1000", NULL);
        cr_assert_leq(test_redis_calls_of(&slot.redis, "hmget"), 4);
        cr_assert_eq(test_redis_calls_of(&slot.redis, "hgetall"), 0, "no host is looked through");
        got = json_array_size(rows);
        cr_assert_leq(got, 250);
        count += (int)got;
        json_decref(rows);
    }
    return count;
}

Test(pool_pages, leases_come_in_pages_also_those_that_never_end) {
    enum { LEASES = 600 };
    slot.unchecked = true;
    pool_host(&slot, "h1", LEASES, 0);
    pool_settings(&slot, "{'size': 600, 'max_containers': 600}");
    pool_control(&slot, "react", "pre_warm", LEASES);
    pool_ready_created(&slot);
    while (pool_stat(&slot, "react", "available") < LEASES) {
        pool_control(&slot, "react", "pre_warm", LEASES);
        pool_ready_created(&slot);
    }
    struct test_events events = {0};
    for (int i = 0; i < LEASES; i++) {
        char id[24];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE) + i,
                         &(struct pool_request){.id = id, .lease_ms = i % 3 ? 600000 : POOL_ZERO});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), LEASES);
    cr_assert_eq(read_leases(), LEASES);
    pool_advance_time(&slot, 1000);
    redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert_eq(due->element[0]->integer, 0);
    freeReplyObject(due);
    pool_sweep_due(&slot);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), LEASES / 3, "those without an end stay");
    due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert_eq(due->element[0]->integer, -1, "they are never due");
    freeReplyObject(due);
}
