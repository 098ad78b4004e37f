/* What a recovery makes of the records that it reads, and how much of them it keeps. */
#include "pipeline/recover_requests.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/clock.h"
#include "core/config.h"
#include "core/pack.h"
#include "support/limits.h"

#define TTL_S 600
#define MINUTE 60000

static struct wp_config config;
static struct wp_wire *wire;
static struct recover_requests *requests;
static int64_t now_ms;

static void begin(void) {
    struct wp_error error;
    wp_config_init(&config);
    cr_assert_eq(wp_wire_new(&wire, &config, &error), WP_OK, "%s", error.text);
    requests = recover_requests_new(&config, wire);
    now_ms = wp_clock_wall_ms();
    cr_assert_eq(config.pool.request_ttl, TTL_S);
}

static void end(void) {
    recover_requests_free(requests);
    wp_wire_free(wire);
    wp_config_done(&config);
}

TestSuite(recover_requests, .init = begin, .fini = end, .timeout = TEST_LIMIT_S);

static void take(enum wp_topic topic, const void *event, int64_t at_ms) {
    struct wp_buf value = {0};
    wp_wire_encode(wire, topic, event, &value);
    rd_kafka_message_t message = {.payload = value.data, .len = value.len, .key = (void *)"k", .key_len = 1};
    recover_requests_take(requests, topic, &message, at_ms);
    wp_buf_done(&value);
}

static void acquire(const char *id, int64_t at_ms) {
    take(WP_TOPIC_ACQUIRE,
         &(struct wp_acquire){.request_id = wp_str(id),
                              .agent_id = WP_STR("a"),
                              .philosophy = WP_STR("react"),
                              .tenant = WP_STR("red"),
                              .timeout_ms = WP_ABSENT,
                              .lease_ms = WP_ABSENT,
                              .cpu_percent = (double)NAN,
                              .memory_mb = (double)NAN},
         at_ms);
}

static void answer(const char *id, const char *status, const char *container, int64_t began_ms,
                   int64_t expires_ms, int64_t at_ms) {
    take(WP_TOPIC_ASSIGNMENT,
         &(struct wp_assignment){.request_id = wp_str(id),
                                 .agent_id = WP_STR("a"),
                                 .philosophy = WP_STR("react"),
                                 .status = wp_str(status),
                                 .container_id = wp_str(container),
                                 .host = WP_STR("h1"),
                                 .lease_epoch = began_ms * 1000,
                                 .lease_expires_at = expires_ms,
                                 .basis = WP_STR("default"),
                                 .retry_after_ms = WP_ABSENT},
         at_ms);
}

static void assign(const char *id, const char *container, int64_t at_ms) {
    answer(id, "assigned", container, at_ms, 0, at_ms);
}

static void release(const char *id, int64_t at_ms) {
    take(WP_TOPIC_RELEASE,
         &(struct wp_release){.request_id = wp_str(id), .philosophy = WP_STR("react"), .reuse = true}, at_ms);
}

/* "l:r1/red w:r2 e:r3 ": leases with their tenant, waiting ones, ended ones, in the order of the rows. */
static const char *rows(void) {
    static char text[512];
    struct wp_buf packed = {0};
    size_t used = 0;
    text[0] = '\0';
    uint32_t count = recover_requests_pack(requests, 100, &packed);
    struct wp_unpack in = wp_unpack(wp_buf_str(&packed));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t fields = wp_unpack_array(&in);
        struct wp_str kind = wp_unpack_str(&in), id, tenant = WP_STR("");
        if (wp_str_is(kind, "w")) {
            uint32_t inner = wp_unpack_array(&in);
            for (uint32_t f = 0; f < inner; f++) {
                struct wp_unpack here = in;
                wp_unpack_skip(&in);
                if (f == 4) id = wp_unpack_str(&here);
            }
        } else {
            id = wp_unpack_str(&in);
            for (uint32_t f = 2; f < fields; f++) {
                struct wp_unpack here = in;
                wp_unpack_skip(&in);
                if (f == fields - 1) tenant = wp_unpack_str(&here);
            }
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%.*s:%.*s%s%.*s ", (int)kind.len, kind.ptr,
                                 (int)id.len, id.ptr, tenant.len ? "/" : "", (int)tenant.len, tenant.ptr);
    }
    cr_assert(!in.failed);
    wp_buf_done(&packed);
    return text;
}

Test(recover_requests, what_was_assigned_and_not_ended_is_leased_to_its_tenant) {
    acquire("r1", now_ms - 50 * MINUTE);
    assign("r1", "c1", now_ms - 50 * MINUTE);
    cr_assert_str_eq(rows(), "l:r1/red ");
}

Test(recover_requests, without_its_acquire_the_tenant_is_not_known) {
    assign("r1", "c1", now_ms - 50 * MINUTE);
    cr_assert_str_eq(rows(), "l:r1 ");
}

Test(recover_requests, what_had_no_answer_waits_also_when_its_release_is_not_handled_yet) {
    acquire("r1", now_ms - 1000);
    acquire("r2", now_ms - 1000);
    release("r2", now_ms - 500);
    cr_assert_str_eq(rows(), "w:r1 w:r2 ");
}

Test(recover_requests, what_ended_lately_had_its_answer_and_what_ended_before_is_nothing) {
    assign("r1", "c1", now_ms - 20 * MINUTE);
    release("r1", now_ms - 5 * MINUTE);
    answer("r2", "rejected", "", 0, 0, now_ms - 5 * MINUTE);
    assign("r3", "c3", now_ms - 20 * MINUTE);
    answer("r3", "lost", "c3", 0, 0, now_ms - 5 * MINUTE);
    assign("r4", "c4", now_ms - 20 * MINUTE);
    release("r4", now_ms - 15 * MINUTE);
    release("r5", now_ms - 5 * MINUTE);
    cr_assert_str_eq(rows(), "e:r1 e:r3 e:r2 ");
}

Test(recover_requests, the_order_of_the_topics_does_not_matter) {
    release("r1", now_ms - 5 * MINUTE);
    assign("r1", "c1", now_ms - 6 * MINUTE);
    acquire("r1", now_ms - 7 * MINUTE);
    cr_assert_str_eq(rows(), "e:r1 ");
}

Test(recover_requests, an_answer_that_was_published_again_after_the_release_is_no_new_lease) {
    assign("r1", "c1", now_ms - 7 * MINUTE);
    release("r1", now_ms - 6 * MINUTE);
    answer("r1", "assigned", "c1", now_ms - 7 * MINUTE, 0, now_ms - 5 * MINUTE);
    cr_assert_str_eq(rows(), "e:r1 ");
}

Test(recover_requests, of_two_leases_the_younger_comes_first) {
    assign("r1", "c1", now_ms - 7 * MINUTE);
    assign("r2", "c1", now_ms - 6 * MINUTE);
    cr_assert_str_eq(rows(), "l:r2 l:r1 ");
}

Test(recover_requests, a_lease_that_expired_lately_is_one_whose_holder_is_not_told_yet) {
    answer("r1", "assigned", "c1", now_ms - 70 * MINUTE, now_ms - 5 * MINUTE, now_ms - 70 * MINUTE);
    answer("r2", "assigned", "c2", now_ms - 90 * MINUTE, now_ms - 30 * MINUTE, now_ms - 90 * MINUTE);
    cr_assert_str_eq(rows(), "l:r1 ");
}

Test(recover_requests, what_cannot_be_read_says_nothing) {
    rd_kafka_message_t message = {.payload = (void *)"nonsense", .len = 8};
    static const enum wp_topic topics[] = {WP_TOPIC_ACQUIRE, WP_TOPIC_ASSIGNMENT, WP_TOPIC_RELEASE};
    for (size_t i = 0; i < 3; i++) recover_requests_take(requests, topics[i], &message, now_ms);
    cr_assert_eq(recover_requests_count(requests), 0);
}

Test(recover_requests, who_ended_is_not_kept_however_long_the_topics_are) {
    char id[32];
    size_t most = 0;
    int64_t at_ms = now_ms - 24 * 60 * MINUTE;
    acquire("waits", at_ms);
    assign("held", "c1", at_ms);
    for (int i = 0; i < 20000; i++, at_ms += 1000) {
        snprintf(id, sizeof id, "r%d", i);
        acquire(id, at_ms);
        assign(id, "c2", at_ms);
        release(id, at_ms + 500);
        recover_requests_read_until(requests, at_ms);
        size_t kept = recover_requests_count(requests);
        if (kept > most) most = kept;
    }
    cr_assert_leq(most, 2 * TTL_S + 1100, "%zu", most);
    for (size_t left = 1; left > 0;) { /* of the rest nothing is said */
        const char *said = rows();
        cr_assert(*said == '\0' || strcmp(said, "l:held w:waits ") == 0, "%s", said);
        left = recover_requests_count(requests);
    }
}
