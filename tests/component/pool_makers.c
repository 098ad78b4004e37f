/* Which host is asked for a container: not one that lacks the image or whose creates fail, while another has
 * room. */
#include "support/limits.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include "support/pool_check.h"

static struct pool_slot slot;
static void start(void) {
    pool_slot_start(&slot);
}
static void stop(void) {
    pool_slot_stop(&slot);
}
TestSuite(pool_makers, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

#define BEAT "'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 60000"

/* Where the next container of that philosophy is made. */
static const char *made_on(const char *request, const char *philosophy) {
    pool_acquire(&slot, .id = request, .philosophy = philosophy);
    cr_assert_eq(pool_commands(&slot, "create"), 1, "for %s", request);
    return record_str(&slot.answer, record_find(&slot.answer, 2, 0), "host");
}

/* Two hosts say that of themselves; the first container of the philosophy, which is made on h1. Copied. */
static void first_on_h1(const char *h1, const char *h2, const char *philosophy, char ret_id[100]) {
    pool_beat_with(&slot, "h1", h1);
    pool_beat_with(&slot, "h2", h2);
    cr_expect_str_eq(made_on("r1", philosophy), "h1");
    snprintf(ret_id, 100, "%s", pool_commanded(&slot, "create", 0));
}

Test(pool_makers, a_host_that_lacks_the_image_is_passed_over_for_that_philosophy_alone) {
    pool_beat_with(&slot, "h1", "{'capacity': 100, 'image': true, 'images': {'special': false}, " BEAT "}");
    pool_beat_with(&slot, "h2", "{'capacity': 5, 'image': true, 'images': {}, " BEAT "}");
    cr_expect_str_eq(made_on("r1", "special"), "h2");
    cr_expect_str_eq(made_on("r2", "react"), "h1");
    pool_beat_with(&slot, "h1", "{'capacity': 100, 'image': false, 'images': {'special': true}, " BEAT "}");
    cr_expect_str_eq(made_on("r3", "react"), "h2");
    cr_expect_str_eq(made_on("r4", "special"), "h1");
}

Test(pool_makers, one_that_has_the_image_but_no_room_is_waited_for) {
    pool_beat_with(&slot, "h1", "{'capacity': 100, 'image': false, 'images': {}, " BEAT "}");
    pool_beat_with(&slot, "h2", "{'capacity': 1, 'image': true, 'images': {}, " BEAT "}");
    cr_expect_str_eq(made_on("r1", "react"), "h2");
    pool_acquire(&slot, .id = "r2");
    cr_expect_eq(pool_commands(&slot, "create"), 0);
    cr_expect_eq(pool_beat_with(&slot, "h1", "{'capacity': 100, 'image': true, 'images': {}, " BEAT "}"), 1,
                 "it has the image now");
    pool_host_event(&slot, "h1", "host_up", "");
    cr_expect_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_makers, where_none_has_the_image_one_is_asked_so_that_its_error_is_seen) {
    pool_beat_with(&slot, "h1", "{'capacity': 9, 'image': false, 'images': {}, " BEAT "}");
    cr_expect_str_eq(made_on("r1", "react"), "h1");
}

Test(pool_makers, a_create_that_waits_for_an_image_goes_to_the_host_that_has_it_first) {
    char id[100];
    first_on_h1("{'capacity': 9, 'image': true, 'images': {'special': false}, " BEAT "}",
                "{'capacity': 5, 'image': true, 'images': {'special': false}, " BEAT "}", "special", id);
    cr_expect_str_eq(made_on("r2", "react"), "h1");
    pool_host_event(&slot, "h1", "host_up", "late 1");
    cr_expect_eq(pool_commands(&slot, "destroy"), 0, "nobody has it");
    pool_beat_with(&slot, "h2", "{'capacity': 5, 'image': true, 'images': {'special': true}, " BEAT "}");
    pool_host_event(&slot, "h2", "host_up", "");
    size_t next = record_find(&slot.answer, 6, 0);
    cr_expect_str_eq(record_str(&slot.answer, next, "host"), "h1");
    cr_expect_eq(strncmp(record_str(&slot.answer, next, "detail"), "late ", 5), 0);
    pool_host_event(&slot, "h1", "host_up", "late 1");
    cr_expect_eq(pool_commands(&slot, "destroy"), 1);
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id);
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_event(&slot, pool_commanded(&slot, "create", 0), "ready", "");
    cr_expect_str_eq(pool_answer_str(&slot, "r1", "host"), "h2");
}

/* They failed for want of it, five times, and their pause is the longest. */
Test(pool_makers, an_image_that_comes_has_failed_creates_tried_again_at_once) {
    static const char without[] = "{'capacity': 9, 'image': true, 'images': {'special': false}, " BEAT "}";
    pool_beat_with(&slot, "h1", without);
    pool_acquire(&slot, .id = "r1", .philosophy = "special", .timeout_ms = 600000);
    for (int i = 0; i < 4; i++) {
        pool_event(&slot, pool_commanded(&slot, "create", 0), "failed", "it could not be pulled");
        pool_advance_time(&slot, 30);
        pool_beat_with(&slot, "h1", without);
        pool_sweep_due(&slot);
    }
    pool_event(&slot, pool_commanded(&slot, "create", 0), "failed", "it could not be pulled");
    cr_expect_str_eq(pool_reason(&slot, "r1"), "unavailable");
    pool_control(&slot, "special", "pre_warm", 1);
    cr_expect_eq(pool_commands(&slot, "create"), 0, "it pauses");
    cr_expect_eq(
        pool_beat_with(&slot, "h1", "{'capacity': 9, 'image': true, 'images': {'special': true}, " BEAT "}"),
        1);
    pool_sweep_due(&slot);
    pool_control(&slot, "special", "pre_warm", 1);
    cr_expect_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_makers, one_whose_creates_fail_is_passed_over_while_another_has_room) {
    char id[100];
    first_on_h1("{'capacity': 100, " BEAT "}", "{'capacity': 5, " BEAT "}", "react", id);
    pool_event(&slot, id, "failed", "no space left on device");
    cr_expect_str_eq(made_on("r2", "other"), "h2");
    pool_advance_time(&slot, 2);
    cr_expect_str_eq(made_on("r3", "third"), "h1", "it is tried again after a pause");
}

Test(pool_makers, one_whose_creates_fail_is_used_when_there_is_no_other) {
    char id[100];
    pool_beat_with(&slot, "h1", "{'capacity': 100, " BEAT "}");
    cr_expect_str_eq(made_on("r1", "react"), "h1");
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "create", 0));
    pool_event(&slot, id, "failed", "no space left on device");
    cr_expect_str_eq(made_on("r2", "other"), "h1");
}

Test(pool_makers, no_room_is_made_where_it_would_not_help) {
    pool_beat_with(&slot, "h1", "{'capacity': 100, 'image': true, 'images': {'special': false}, " BEAT "}");
    pool_warm(&slot, "react", 4);
    pool_beat_with(&slot, "h2", "{'capacity': 1, 'image': true, 'images': {}, " BEAT "}");
    cr_expect_str_eq(made_on("r1", "special"), "h2");
    pool_acquire(&slot, .id = "r2", .philosophy = "special");
    pool_acquire(&slot, .id = "r3", .philosophy = "special");
    cr_expect_eq(pool_commands(&slot, "destroy"), 0, "those on h1 are in nobody's way");
    cr_expect_eq(pool_stat(&slot, "react", "available"), 4);
}

Test(pool_makers, room_is_made_where_it_helps_also_behind_older_ones_elsewhere) {
    pool_beat_with(&slot, "h1", "{'capacity': 2, 'image': true, 'images': {'special': false}, " BEAT "}");
    pool_warm(&slot, "react", 2);
    pool_beat_with(&slot, "h2", "{'capacity': 1, 'image': true, 'images': {}, " BEAT "}");
    pool_control(&slot, "react", "pre_warm", 3);
    char id[100];
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "create", 0));
    pool_ready_created(&slot);
    pool_acquire(&slot, .id = "r1", .philosophy = "special");
    cr_expect_str_eq(pool_commanded(&slot, "destroy", 0), id);
    cr_expect_eq(pool_commands(&slot, "destroy"), 1);
}
