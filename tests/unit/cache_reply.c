/* The columns of a cache batch's answers, put together with their events; and columns that are cut, changed
 * or without their values. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "cache/cache_calls.h"

static struct wp_str values[] = {WP_STR("first"), WP_STR("second")};
static size_t value_count, taken_count;
static int64_t unwanted;
static struct taken {
    int64_t offset, ttl;
    bool hit, has_value;
    char value[16], reason[16], id[16], key[16];
} taken[8];

static bool wants(void *ctx, int64_t offset) {
    (void)ctx;
    return offset != unwanted;
}

static bool own(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                struct wp_str *ret_trace) {
    static char id[16];
    (void)ctx;
    snprintf(id, sizeof id, "e%d", (int)offset);
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->cache.event_id = wp_str(id);
    *ret_key = WP_STR("of-the-record");
    *ret_trace = (struct wp_str){0};
    return true;
}

static void copy(char *out, struct wp_str text) {
    snprintf(out, 16, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
}

static void take(void *ctx, const struct wp_reply_record *record) {
    const struct wp_cache_result *result = record->fields;
    struct taken *one = &taken[taken_count++ % 8];
    (void)ctx;
    if (record->topic != WP_TOPIC_CACHE_RESULT) return;
    *one =
        (struct taken){record->offset, result->ttl_seconds, result->hit, result->has_value, "", "", "", ""};
    copy(one->value, result->value);
    copy(one->reason, result->reason);
    copy(one->id, result->event_id);
    copy(one->key, record->key);
}

static bool value(void *ctx, size_t i, struct wp_str *ret) {
    (void)ctx;
    if (i >= value_count) return false;
    *ret = values[i];
    return true;
}

static const struct wp_reply_sink sink = {NULL, wants, own, take, value};

/* A set that replaced (9 s), a hit (7 s), a miss, a hit (5 s), a set that was refused. */
static void pack_chunk(struct wp_buf *out) {
    static const int hows[] = {1, 3, 2, 3, 0}, ttls[] = {9, 7, 0, 5, 0};
    wp_pack_array(out, 2);
    wp_pack_array(out, 1);
    wp_pack_int(out, 10);
    wp_pack_array(out, 4);
    wp_pack_int(out, 8);
    wp_pack_array(out, 5);
    for (int i = 0; i < 5; i++) wp_pack_int(out, 10 + i);
    wp_pack_array(out, 5);
    for (int i = 0; i < 5; i++) wp_pack_int(out, hows[i]);
    wp_pack_array(out, 5);
    for (int i = 0; i < 5; i++) {
        if (i == 4)
            wp_pack_str(out, WP_STR("too_large"));
        else if (ttls[i])
            wp_pack_int(out, ttls[i]);
        else
            wp_pack_bool(out, false);
    }
}

static struct wp_buf chunk;
static void start(void) {
    chunk = (struct wp_buf){0};
    value_count = 2;
    taken_count = 0;
    unwanted = -1;
    pack_chunk(&chunk);
}
static void stop(void) {
    wp_buf_done(&chunk);
}
TestSuite(cache_reply, .init = start, .fini = stop);

Test(cache_reply, each_answer_is_put_together_with_its_event) {
    cr_assert(wp_cache_reply(wp_buf_str(&chunk), &sink));
    cr_assert_eq(taken_count, 5);
    static const struct taken expected[] = {
        {10, 9, true, false, "", "", "e10", "of-the-record"},
        {11, 7, true, true, "first", "", "e11", "of-the-record"},
        {12, WP_ABSENT, false, false, "", "", "e12", "of-the-record"},
        {13, 5, true, true, "second", "", "e13", "of-the-record"},
        {14, WP_ABSENT, false, false, "", "too_large", "e14", "of-the-record"},
    };
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(taken[i].offset, expected[i].offset);
        cr_expect_eq(taken[i].ttl, expected[i].ttl, "number %zu", i);
        cr_expect_eq(taken[i].hit, expected[i].hit, "number %zu", i);
        cr_expect_eq(taken[i].has_value, expected[i].has_value, "number %zu", i);
        cr_expect_str_eq(taken[i].value, expected[i].value);
        cr_expect_str_eq(taken[i].reason, expected[i].reason);
        cr_expect_str_eq(taken[i].id, expected[i].id);
        cr_expect_str_eq(taken[i].key, expected[i].key);
    }
}

Test(cache_reply, a_hit_that_is_not_wanted_keeps_its_value) {
    unwanted = 11;
    cr_assert(wp_cache_reply(wp_buf_str(&chunk), &sink));
    cr_assert_eq(taken_count, 4);
    cr_assert_str_eq(taken[2].value, "second");
}

Test(cache_reply, a_hit_without_its_value_cannot_be_read) {
    value_count = 1;
    cr_assert_not(wp_cache_reply(wp_buf_str(&chunk), &sink));
}

Test(cache_reply, a_hit_whose_value_redis_has_lost_is_a_miss) {
    values[0] = (struct wp_str){NULL, 0};
    cr_assert(wp_cache_reply(wp_buf_str(&chunk), &sink));
    cr_assert_eq(taken_count, 5);
    cr_assert_not(taken[1].hit || taken[1].has_value);
    cr_assert_eq(taken[1].ttl, WP_ABSENT);
    cr_assert_str_eq(taken[3].value, "second");
}

Test(cache_reply, a_chunk_that_is_cut_or_changed_does_no_harm) {
    for (size_t len = 0; len < chunk.len; len++) {
        char *part = malloc(len + 1); /* of its own, so that a sanitizer sees what is read behind it */
        memcpy(part, chunk.data, len);
        cr_assert_not(wp_cache_reply((struct wp_str){part, len}, &sink), "cut at %zu", len);
        free(part);
    }
    for (size_t at = 0; at < chunk.len; at++)
        for (int byte = 0; byte < 256; byte++) {
            char kept = chunk.data[at];
            chunk.data[at] = (char)byte;
            (void)wp_cache_reply(wp_buf_str(&chunk), &sink);
            chunk.data[at] = kept;
        }
}
