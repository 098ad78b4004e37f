/* What `warmpool top` makes of answers and records: rates of the last minute, workers, lag, warnings, one
 * pool. */
#include "support/top_world.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct top_model model;

static void start(void) {
    top_model_init(&model);
}
static void stop(void) {
    top_model_done(&model);
}
TestSuite(top_model, .init = start, .fini = stop);

enum { T0 = 1000000000 }; /* a time in ms */

static void read_pools(int64_t at_ms, int warm, int cold, int rejected, int waiting) {
    char text[600];
    snprintf(
        text, sizeof text,
        "{'now':%lld,'pools':{'react':{'warm_starts':%d,'cold_starts':%d,'rejected':%d,'lost':0,'waiting':%d,"
        "'available':1}},'total':{'warm_starts':%d,'cold_starts':%d,'rejected':%d,'lost':0,'waiting':%d}}",
        (long long)at_ms, warm, cold, rejected, waiting, warm, cold, rejected, waiting);
    json_t *stats = top_json(text);
    top_model_pool_stats(&model, stats);
    json_decref(stats);
}

static double field(enum top_table table, size_t row, const char *name) {
    return json_number_value(json_object_get(json_array_get(model.rows[table], row), name));
}

static const char *words(enum top_table table, size_t row, const char *name) {
    const char *text = json_string_value(json_object_get(json_array_get(model.rows[table], row), name));
    return text ? text : "(none)";
}

Test(top_model, rates_are_of_the_last_minute) {
    read_pools(T0, 100, 10, 5, 0);
    cr_expect_lt(model.sums.rate.arrivals, 0, "one reading is no rate");
    cr_expect_null(json_object_get(json_array_get(model.rows[TOP_POOLS], 0), "arrivals"));
    read_pools(T0 + 30000, 130, 15, 6, 4);
    cr_expect_float_eq(model.sums.rate.arrivals, 80, 0.01, "40 in half a minute, those that wait among them");
    cr_expect_float_eq(model.sums.rate.warm / model.sums.rate.starts, 30.0 / 35, 0.001);
    cr_expect_eq(model.sums.rate.rejected, 1);
    cr_expect_eq(model.sums.span_ms, 30000);
    cr_expect_float_eq(field(TOP_POOLS, 0, "arrivals"), 80, 0.01);
    for (int i = 2; i <= 10; i++) read_pools(T0 + i * 30000, 130, 15, 6, 4);
    cr_expect_eq(model.sums.rate.arrivals, 0, "it was more than a minute ago");
    cr_expect_eq(model.sums.span_ms, 60000);
}

Test(top_model, readings_that_come_fast_keep_a_minute) {
    for (int i = 0; i <= 400; i++) read_pools(T0 + i * 500, i, 0, 0, 0);
    cr_expect_geq(model.sums.span_ms, 55000);
    cr_expect_leq(model.sums.span_ms, 66000);
    cr_expect_float_eq(model.sums.rate.arrivals, 120, 0.5);
}

Test(top_model, counters_of_a_redis_that_has_lost_its_data_begin_anew) {
    read_pools(T0, 1000, 0, 0, 0);
    read_pools(T0 + 10000, 1100, 0, 0, 0);
    read_pools(T0 + 20000, 3, 0, 0, 0);
    cr_expect_lt(model.sums.rate.arrivals, 0);
    read_pools(T0 + 30000, 8, 0, 0, 0);
    cr_expect_float_eq(model.sums.rate.arrivals, 30, 0.01);
}

/* A metrics record of a worker. */
static void record(const char *worker, int64_t at_ms, int64_t now_ms, int warm, int lag,
                   const char *warnings) {
    char text[2000];
    snprintf(
        text, sizeof text,
        "{'pool_stats':{'pools':{'react':{'warm_starts':%d,'cold_starts':0,'rejected':2,'lost':0,'waiting':0}"
        "},"
        "'total':{'warm_starts':%d,'cold_starts':0,'rejected':2,'lost':0,'waiting':0}},'cache_stats':"
        "{'namespaces':{}},'warnings':[%s],'worker':{'id':'%s','host':'h','version':'0.1.0','partitions':6,"
        "'rss_mb':12,'lag':{'container-acquire':%d,'cache':1},'events':[{'topic':'cache','ok':%d,"
        "'dead_letter':0}],'redis':{'ready':true},'kafka':{'ready':true},"
        "'acquire_to_assignment':{'p99_ms':3.5}}}",
        warm, warm, warnings, worker, lag, warm * 2);
    json_t *value = top_json(text);
    top_model_metrics(&model, value, at_ms, now_ms);
    json_decref(value);
}

Test(top_model, records_of_the_past_give_the_rate_from_the_first_screen_on) {
    read_pools(T0, 160, 0, 2, 0);
    for (int i = 6; i >= 1; i--) record("w1", T0 - i * 10000, T0, 160 - i * 10, 0, "");
    read_pools(T0 + 1000, 160, 0, 2, 0);
    cr_expect_geq(model.sums.span_ms, 50000);
    cr_expect_float_eq(model.sums.rate.arrivals, 60, 2);
    cr_expect_eq(model.sums.rate.rejected, 0);
}

Test(top_model, what_a_record_says_of_the_future_or_before_a_loss_is_no_reading) {
    read_pools(T0, 160, 0, 2, 0);
    record("w1", T0 + 60000, T0, 900, 0, "");
    record("w1", T0 - 30000, T0, 900, 0, "");
    read_pools(T0 + 2000, 161, 0, 2, 0);
    cr_expect_eq(model.sums.span_ms, 2000);
}

#define WARNING "{'code':'pool_empty','subject':'react','message':'react is empty','advice':'pre-warm it'}"

Test(top_model, lag_is_added_up_over_workers_and_warnings_are_not_repeated) {
    record("w1", T0, T0, 10, 40, WARNING);
    record("w2", T0, T0, 10, 2, WARNING ",{'code':'image_missing','subject':'x','message':'m','advice':'a'}");
    cr_expect_eq(model.sums.workers, 2);
    cr_expect_eq(model.sums.lag, 44);
    cr_expect_str_eq(model.sums.lag_topic, "container-acquire");
    cr_expect_eq(json_array_size(model.rows[TOP_WARNINGS]), 2);
    cr_expect_eq(field(TOP_WARNINGS, 0, "workers"), 2);
    cr_expect_eq(field(TOP_WARNINGS, 1, "workers"), 1);
    record("w1", T0 + 10000, T0 + 10000, 60, 0, "");
    cr_expect_eq(model.sums.lag, 4, "the latest record counts");
    cr_expect_eq(field(TOP_WARNINGS, 0, "workers"), 1);
    cr_expect_eq(field(TOP_WORKERS, 0, "events"), 10, "100 events in ten seconds");
    record("w1", T0 + 5000, T0 + 10000, 20, 999, "");
    cr_expect_eq(model.sums.lag, 4, "one that comes late is older");
}

Test(top_model, a_worker_without_records_is_silent_and_then_forgotten) {
    record("w1", T0, T0, 10, 40, WARNING);
    record("w1", T0 + 10000, T0 + 10000, 10, 40, WARNING);
    top_model_tick(&model, T0 + 35000);
    cr_expect_str_eq(words(TOP_WORKERS, 0, "state"), "ready");
    top_model_tick(&model, T0 + 45000);
    cr_expect_str_eq(words(TOP_WORKERS, 0, "state"), "silent");
    cr_expect_eq(model.sums.workers, 0);
    cr_expect_eq(model.sums.lag, 0);
    cr_expect_eq(json_array_size(model.rows[TOP_WARNINGS]), 0);
    cr_expect_eq(field(TOP_WORKERS, 0, "ago_ms"), 35000);
    top_model_tick(&model, T0 + 700000);
    cr_expect_eq(json_array_size(model.rows[TOP_WORKERS]), 0);
}

static void answer(const char *pool, const char *status, bool warm, const char *request) {
    char text[600];
    snprintf(text, sizeof text,
             "{'philosophy':'%s','status':'%s','warm_start':%s,'request_id':'%s','agent_id':'a','reason':'"
             "limit: it has "
             "4','startup_time_ms':170,'startup':{'queue_ms':5,'create_ms':10,'start_ms':150,'ready_ms':5,'"
             "bind_ms':0}}",
             pool, status, warm ? "true" : "false", request);
    json_t *value = top_json(text);
    top_model_assignment(&model, value, T0);
    json_decref(value);
}

Test(top_model, of_the_opened_pool_it_keeps_what_was_rejected_lost_or_cold) {
    answer("react", "rejected", false, "before it was opened");
    top_model_open(&model, "react");
    answer("react", "rejected", false, "r1");
    answer("react", "assigned", true, "warm");
    answer("react", "assigned", false, "r2");
    answer("react", "lost", true, "r3");
    answer("other", "rejected", false, "r4");
    cr_expect_eq(json_array_size(model.rows[TOP_ANSWERS]), 3);
    cr_expect_str_eq(words(TOP_ANSWERS, 0, "reason"), "limit: it has 4");
    cr_expect_str_eq(words(TOP_ANSWERS, 1, "status"), "cold");
    cr_expect_str_eq(words(TOP_ANSWERS, 1, "reason"),
                     "170 ms: queue 5, create 10, start 150, ready 5, bind 0");
    cr_expect_str_eq(words(TOP_ANSWERS, 2, "status"), "lost");
    top_model_tick(&model, T0 + 3000);
    cr_expect_eq(field(TOP_ANSWERS, 0, "ago_ms"), 3000);
    for (int i = 0; i < 500; i++) answer("react", "rejected", false, "more");
    cr_expect_leq(json_array_size(model.rows[TOP_ANSWERS]), 200);
    top_model_open(&model, "other");
    cr_expect_eq(json_array_size(model.rows[TOP_ANSWERS]), 0);
}

Test(top_model, contents_that_come_late_of_another_pool_are_left_out) {
    json_t *page = top_json("{'containers':[{'container_id':'c1','state':'idle'}],'next':'h c1'}");
    top_model_open(&model, "react");
    top_model_containers(&model, "other", page);
    cr_expect_eq(json_array_size(model.rows[TOP_CONTAINERS]), 0);
    top_model_containers(&model, "react", page);
    cr_expect_eq(json_array_size(model.rows[TOP_CONTAINERS]), 1);
    cr_expect(model.more_containers);
    json_decref(page);
}

Test(top_model, sums_of_hosts_leave_out_what_is_not_up) {
    top_world_fill(&model);
    cr_expect_eq(model.sums.hosts, 2);
    cr_expect_eq(model.sums.hosts_up, 1);
    cr_expect_eq(model.sums.capacity, 40);
    cr_expect_eq(model.sums.used, 30);
    cr_expect_eq(model.sums.memory_mb, 16384);
    cr_expect_eq(model.sums.oldest_ms, 4200);
    cr_expect_str_eq(model.sums.oldest_pool, "react");
    cr_expect_eq(json_array_size(model.rows[TOP_HOSTS]), 3, "one that is gone, too");
}

Test(top_model, answers_of_another_shape_do_no_harm) {
    static const char *const odd[] = {
        "{}", "[]", "{'pools':7,'total':[],'tenants':'x','hosts':null,'gone':3}",
        "{'pools':{'a':7,'b':null,'c':[1]},'hosts':{'h':'x'},'namespaces':{'n':1}}",
        "{'worker':{'id':5,'lag':'x','events':{}},'warnings':[1,null],'containers':{},"
        "'waiting':7,'pool_stats':{'pools':[]}}"};
    struct top_screen screen;
    top_screen_init(&screen);
    top_model_open(&model, "react");
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        json_t *value = top_json(odd[i]);
        top_model_pool_stats(&model, value);
        top_model_hosts(&model, value);
        top_model_cache_stats(&model, value);
        top_model_containers(&model, "react", value);
        top_model_waiting(&model, "react", value);
        top_model_metrics(&model, value, T0, T0);
        top_model_assignment(&model, value, T0);
        json_decref(value);
        (void)top_drawn(&model, &screen, 60, 200);
    }
}
