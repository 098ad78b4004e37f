/* Columns of warm starts become records together with the events' own messages (pool/pool_reply.h). */
#include "pool/pool_reply.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int64_t from, until; /* wanted offsets */
static int64_t taken[16], epochs[16];
static size_t count;
static bool readable;

static bool wants(void *ctx, int64_t offset) {
    (void)ctx;
    return offset >= from && offset < until;
}

static bool own(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                struct wp_str *ret_trace) {
    (void)ctx;
    (void)offset;
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->acquire.request_id = WP_STR("r1");
    ret_event->acquire.philosophy = WP_STR("react");
    *ret_key = WP_STR("key");
    *ret_trace = WP_STR("");
    return readable;
}

static void take(void *ctx, const struct wp_reply_record *record) {
    (void)ctx;
    const struct wp_assignment *a = record->fields;
    cr_assert_eq(record->topic, WP_TOPIC_ASSIGNMENT);
    cr_assert(wp_str_is(a->request_id, "r1") && wp_str_is(record->key, "key"));
    cr_assert(wp_str_is(a->host, "h1") && wp_str_is(a->basis, "default"));
    epochs[count] = a->lease_epoch;
    taken[count++] = record->offset;
}

static const struct wp_reply_sink sink = {NULL, wants, own, take, NULL};

static void pack_figures(struct wp_buf *out) {
    wp_pack_array(out, 3);
    for (int i = 0; i < 3; i++) wp_pack_int(out, 1);
}

/* Three events: offsets 5, 6 and 9. */
static void pack_chunk(struct wp_buf *out) {
    static const int runs[] = {2, 5, 100, 1, 9, 102};
    wp_pack_array(out, 2);
    wp_pack_array(out, 1);
    wp_pack_int(out, 5);
    wp_pack_array(out, 9);
    wp_pack_int(out, 7);
    wp_pack_int(out, 0);
    wp_pack_array(out, 6);
    for (int i = 0; i < 6; i++) wp_pack_int(out, runs[i]);
    for (int column = 0; column < 4; column++) {
        wp_pack_array(out, 3);
        for (int i = 0; i < 3; i++) {
            if (column == 1 || column == 2)
                wp_pack_str(out, WP_STR("text"));
            else
                wp_pack_int(out, 1);
        }
    }
    wp_pack_array(out, 1);
    size_t common = wp_pack_open(out);
    wp_pack_str(out, WP_STR("h1"));
    wp_pack_int(out, 50);
    wp_pack_int(out, 256);
    wp_pack_str(out, WP_STR("image"));
    wp_pack_str(out, WP_STR("react"));
    wp_pack_close(out, common);
    wp_pack_array(out, 1);
    wp_pack_array(out, 6);
    wp_pack_str(out, WP_STR("react"));
    pack_figures(out);
    pack_figures(out);
    wp_pack_int(out, 0);
    wp_pack_int(out, 0);
    wp_pack_str(out, WP_STR("default"));
}

static bool read(int64_t first, int64_t end, bool can_read) {
    struct wp_buf chunk = {0};
    pack_chunk(&chunk);
    from = first;
    until = end;
    readable = can_read;
    count = 0;
    bool ok = wp_pool_reply(wp_buf_str(&chunk), &sink);
    wp_buf_done(&chunk);
    return ok;
}

Test(pool_reply, each_warm_start_has_its_offset_and_epoch) {
    cr_assert(read(0, 100, true));
    cr_assert_eq(count, 3);
    cr_assert(taken[0] == 5 && taken[1] == 6 && taken[2] == 9);
    cr_assert(epochs[0] == 100 && epochs[1] == 101 && epochs[2] == 102);
}

Test(pool_reply, only_those_that_are_wanted_are_taken) {
    cr_assert(read(6, 7, true));
    cr_assert_eq(count, 1);
    cr_assert(taken[0] == 6 && epochs[0] == 101);
}

Test(pool_reply, one_whose_event_cannot_be_read_is_an_error) {
    cr_assert_not(read(0, 100, false));
    cr_assert(read(20, 30, false), "but not when nobody wants it");
}

Test(pool_reply, a_chunk_that_is_cut_or_changed_is_never_read_beyond_its_end) {
    struct wp_buf chunk = {0};
    pack_chunk(&chunk);
    from = 0;
    until = 0;
    for (size_t len = 0; len < chunk.len; len++) {
        char *copy = wp_alloc(len + 1);
        memcpy(copy, chunk.data, len);
        cr_assert_not(wp_pool_reply((struct wp_str){copy, len}, &sink), "cut at %zu", len);
        free(copy);
    }
    for (size_t at = 0; at < chunk.len; at++) {
        for (int value = 0; value < 256; value += 5) {
            char kept = chunk.data[at];
            chunk.data[at] = (char)value;
            (void)wp_pool_reply(wp_buf_str(&chunk), &sink);
            chunk.data[at] = kept;
        }
    }
    wp_buf_done(&chunk);
}
