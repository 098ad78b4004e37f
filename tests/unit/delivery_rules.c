/* Single rules of the delivery core, each by the shortest way to it. */
#include <criterion/criterion.h>
#include "delivery/begin.h"
#include "delivery/delivery.h"

static struct wp_delivery_budget budget;
static int released[3]; /* by enum wp_delivery_end */
static char item;

static void on_release(void *ctx, void *event_item, enum wp_delivery_end end) {
    (void)ctx;
    cr_assert_eq(event_item, &item);
    released[end]++;
}

static struct wp_delivery *running(size_t window) {
    struct wp_effect effect;
    const struct wp_delivery_owner owner = {.window = window, .budget = &budget, .release = on_release};
    struct wp_delivery *d = wp_delivery_new(&owner, 0);
    cr_assert(wp_delivery_next(d, 0, false, &effect));
    cr_assert_eq(effect.kind, WP_EFFECT_FIND_START);
    wp_delivery_begin(d, 0, 0, 0, 0);
    cr_assert(wp_delivery_next(d, 0, false, &effect));
    cr_assert_eq(effect.kind, WP_EFFECT_SEEK);
    return d;
}

static void begin(void) {
    budget = (struct wp_delivery_budget){.limit = 1000000};
    memset(released, 0, sizeof released);
}
TestSuite(delivery, .init = begin);

static void take(struct wp_delivery *d, int64_t from, int64_t to) {
    for (int64_t i = from; i <= to; i++) cr_assert(wp_delivery_take(d, i, 100, &item));
}

static struct wp_batch send(struct wp_delivery *d, int64_t now_us) {
    struct wp_batch batch;
    int64_t offset;
    void *got;
    cr_assert(wp_delivery_batch_open(d, now_us, &batch));
    while (wp_delivery_batch_next(d, &batch, &offset, &got))
        ;
    wp_delivery_batch_sent(d, &batch);
    return batch;
}

/* Until the function has failed on the first event alone, twice: it is to be skipped. */
static int64_t fail_until_skip(struct wp_delivery *d) {
    int64_t now = 0;
    for (int i = 0; i < 3; i++, now += 1000000) {
        struct wp_batch batch = send(d, now);
        cr_assert_not(batch.skip);
        (void)wp_delivery_refused(d, &batch, WP_REFUSAL_FAILED, 0, "it failed", now);
    }
    return now;
}

Test(delivery, a_skip_whose_call_was_lost_goes_alone_again) {
    struct wp_delivery *d = running(100);
    take(d, 0, 3);
    int64_t now = fail_until_skip(d);
    for (int i = 0; i < 3; i++) {
        struct wp_batch skip = send(d, now);
        cr_assert(skip.skip && skip.alone, "the other batches of a call must not be cut by it");
        cr_assert_eq(skip.count, 1);
        (void)wp_delivery_refused(d, &skip, WP_REFUSAL_LOST, 0, "", now);
    }
    wp_delivery_free(d);
}

Test(delivery, after_a_skip_the_rest_of_a_failed_batch_goes_one_by_one_and_then_together) {
    struct wp_delivery *d = running(100);
    take(d, 0, 3);
    struct wp_batch skip = send(d, fail_until_skip(d));
    wp_delivery_answered(d, &skip, 0, 0, 0);
    for (int64_t i = 1; i <= 3; i++) {
        struct wp_batch one = send(d, 10000000);
        cr_assert(one.alone && !one.skip && one.count == 1 && one.first == i);
        wp_delivery_answered(d, &one, i, 0, 0);
    }
    take(d, 4, 9);
    cr_assert_eq(send(d, 10000000).count, 6);
    wp_delivery_free(d);
}

static int64_t delay_after_a_failed_record(struct wp_delivery *d, int64_t *now_us) {
    struct wp_effect effect;
    struct wp_batch batch = send(d, *now_us);
    wp_delivery_published(d, 0);
    wp_delivery_answered(d, &batch, batch.last, 0, *now_us);
    cr_assert(wp_delivery_unconfirmed(d, batch.generation, *now_us));
    int64_t from = *now_us;
    for (;; *now_us += 10000) {
        if (!wp_delivery_next(d, *now_us, false, &effect)) continue;
        if (effect.kind == WP_EFFECT_FIND_START) break;
    }
    wp_delivery_begin(d, wp_delivery_generation(d), 0, 0, 0);
    while (wp_delivery_next(d, *now_us, false, &effect))
        ;
    take(d, 0, 0);
    return *now_us - from;
}

Test(delivery, a_record_that_kafka_goes_on_refusing_restarts_its_partition_less_and_less_often) {
    struct wp_delivery *d = running(100);
    int64_t now = 0, last = 0;
    take(d, 0, 0);
    for (int i = 0; i < 6; i++) {
        int64_t delay = delay_after_a_failed_record(d, &now);
        cr_assert_geq(delay, 2 * last > 10000000 ? 10000000 : 2 * last - 20000);
        last = delay;
    }
    cr_assert_geq(last, 10000000, "%lld", (long long)last);
    wp_delivery_free(d);
}

Test(delivery, a_commit_that_failed_is_asked_again_a_little_later) {
    struct wp_delivery *d = running(100);
    struct wp_effect effect;
    take(d, 0, 0);
    struct wp_batch batch = send(d, 0);
    wp_delivery_answered(d, &batch, 0, 0, 0);
    wp_delivery_floor_acked(d, batch.generation, 1);
    cr_assert(wp_delivery_next(d, 0, true, &effect));
    cr_assert(effect.kind == WP_EFFECT_COMMIT && effect.offset == 1);
    wp_delivery_committed(d, batch.generation, 1, false, 0);
    cr_assert_not(wp_delivery_is_settled(d));
    cr_assert_not(wp_delivery_next(d, 1000, true, &effect));
    cr_assert(wp_delivery_next(d, 1000000, true, &effect));
    cr_assert(effect.kind == WP_EFFECT_COMMIT && effect.offset == 1);
    wp_delivery_committed(d, batch.generation, 1, true, 1000000);
    cr_assert(wp_delivery_is_settled(d));
    wp_delivery_free(d);
}

Test(delivery, a_partition_that_holds_its_share_of_bytes_pauses_and_leaves_others_theirs) {
    struct wp_delivery *full = running(100), *other = running(100);
    struct wp_effect effect;
    for (int64_t i = 0; i < 5; i++)
        cr_assert(wp_delivery_take(full, i, 100000, &item)); /* half of the limit */
    cr_assert(wp_delivery_next(full, 0, false, &effect));
    cr_assert_eq(effect.kind, WP_EFFECT_PAUSE);
    cr_assert(wp_delivery_take(other, 0, 100000, &item));
    cr_assert_not(wp_delivery_next(other, 0, false, &effect), "its own share is not used up");
    struct wp_batch batch = send(full, 0);
    wp_delivery_answered(full, &batch, 4, 0, 0);
    cr_assert_eq(released[WP_DELIVERED], 5);
    cr_assert(wp_delivery_next(full, 0, false, &effect));
    cr_assert_eq(effect.kind, WP_EFFECT_RESUME);
    wp_delivery_free(full);
    cr_assert_eq(budget.used, 100000);
    wp_delivery_free(other);
    cr_assert_eq(budget.used, 0);
}

Test(delivery, a_slot_without_room_is_asked_again_when_the_floor_has_moved_and_not_in_a_spin) {
    struct wp_delivery *d = running(100);
    struct wp_batch next;
    take(d, 0, 3);
    struct wp_batch batch = send(d, 0);
    wp_delivery_published(d, 0);
    wp_delivery_published(d, 1);
    wp_delivery_answered(d, &batch, 1, 0, 0); /* it stopped early */
    struct wp_batch rest = send(d, 0);
    cr_assert(rest.first == 2 && rest.prev == 1);
    wp_delivery_answered(d, &rest, 1, 0, 0); /* nothing more has room */
    cr_assert_not(wp_delivery_batch_open(d, 1000, &next));
    wp_delivery_confirmed(d, batch.generation, 0);
    cr_assert(wp_delivery_batch_open(d, 1000, &next));
    cr_assert(next.floor == 1 && next.prev == 1);
    wp_delivery_free(d);
}

Test(delivery, where_a_partition_begins) {
    struct {
        struct wp_begin_facts facts;
        struct wp_begin expected;
    } cases[] = {
        {{.committed = -1, .low = 3, .high = 9, .floor = -1},
         {WP_BEGIN_SET_FLOOR, 3, false}}, /* nobody was here */
        {{.committed = 5, .low = 3, .high = 9, .floor = -1}, {WP_BEGIN_RECOVER, 5, true}},
        {{.committed = 5, .low = 3, .high = 9, .floor = -1, .recovered = true},
         {WP_BEGIN_SET_FLOOR, 5, true}},
        {{.committed = 2, .low = 3, .high = 9, .floor = -1, .recovered = true},
         {WP_BEGIN_SET_FLOOR, 3, true}},
        {{.committed = 5, .low = 3, .high = 9, .floor = 7}, {WP_BEGIN_AT, 5, false}},
        {{.committed = -1, .low = 3, .high = 9, .floor = 7}, {WP_BEGIN_AT, 7, false}},
        {{.committed = 8, .low = 3, .high = 9, .floor = 7}, {WP_BEGIN_AT, 7, false}},
        {{.committed = 7, .low = 0, .high = 5, .floor = 7}, {WP_BEGIN_BLOCKED, 7, false}}, /* made anew */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wp_begin begin_at = wp_begin_decide(&cases[i].facts);
        cr_expect_eq(begin_at.kind, cases[i].expected.kind, "case %zu: kind %d", i, (int)begin_at.kind);
        cr_expect_eq(begin_at.start, cases[i].expected.start, "case %zu: start %lld", i,
                     (long long)begin_at.start);
    }
}

Test(delivery, an_event_that_is_put_back_is_the_first_of_the_next_batch) {
    struct wp_delivery *d = running(100);
    struct wp_batch batch;
    int64_t offset;
    void *got;
    take(d, 0, 3);
    cr_assert(wp_delivery_batch_open(d, 0, &batch));
    for (int i = 0; i < 3; i++) cr_assert(wp_delivery_batch_next(d, &batch, &offset, &got));
    cr_assert_eq(offset, 2);
    wp_delivery_batch_put_back(d, &batch);
    cr_assert_eq(batch.count, 2);
    cr_assert_eq(batch.last, 1);
    wp_delivery_batch_sent(d, &batch);
    struct wp_batch next = send(d, 0);
    cr_assert_eq(next.prev, 1);
    cr_assert_eq(next.first, 2);
    cr_assert_eq(next.last, 3);
    wp_delivery_free(d);
}

Test(delivery, behind_a_refused_event_a_put_back_one_leaves_the_batch_as_it_was) {
    struct wp_delivery *d = running(100);
    struct wp_batch batch;
    int64_t offset;
    void *got;
    take(d, 0, 2);
    cr_assert(wp_delivery_batch_open(d, 0, &batch));
    cr_assert(wp_delivery_batch_next(d, &batch, &offset, &got));
    cr_assert(wp_delivery_batch_next(d, &batch, &offset, &got));
    wp_delivery_published(d, offset);
    wp_delivery_batch_refuse(d, &batch, offset);
    cr_assert(wp_delivery_batch_next(d, &batch, &offset, &got));
    cr_assert_eq(offset, 2);
    wp_delivery_batch_put_back(d, &batch);
    cr_assert_eq(batch.count, 1);
    cr_assert_eq(batch.last, 0);
    wp_delivery_batch_sent(d, &batch);
    wp_delivery_answered(d, &batch, 0, 0, 0);
    wp_delivery_confirmed(d, 0, 1);
    cr_assert_eq(wp_delivery_floor(d), 2, "the put back event holds the floor");
    wp_delivery_free(d);
}

Test(delivery, a_partition_with_queued_events_alone_is_told_from_one_with_events_under_way) {
    struct wp_delivery *d = running(100);
    struct wp_effect effect;
    struct wp_batch batch;
    int64_t offset;
    void *got;
    cr_assert(wp_delivery_only_queued(d));
    take(d, 0, 1);
    cr_assert(wp_delivery_only_queued(d) && !wp_delivery_is_settled(d));
    cr_assert(wp_delivery_batch_open(d, 0, &batch));
    cr_assert(wp_delivery_batch_next(d, &batch, &offset, &got));
    wp_delivery_batch_sent(d, &batch);
    cr_assert_not(wp_delivery_only_queued(d), "a call is under way");
    wp_delivery_answered(d, &batch, 0, 0, 0);
    cr_assert_not(wp_delivery_only_queued(d), "the slot does not know the floor");
    cr_assert(wp_delivery_next(d, 0, true, &effect));
    cr_assert_eq(effect.kind, WP_EFFECT_TELL_FLOOR);
    wp_delivery_floor_acked(d, 0, 1);
    cr_assert_not(wp_delivery_only_queued(d), "Kafka does not know it");
    cr_assert(wp_delivery_next(d, 0, true, &effect));
    cr_assert_eq(effect.kind, WP_EFFECT_COMMIT);
    wp_delivery_committed(d, 0, 1, true, 0);
    cr_assert(wp_delivery_only_queued(d) && !wp_delivery_is_settled(d));
    wp_delivery_at_position(d, 2);
    cr_assert_eq(wp_delivery_floor(d), 1, "the log's end does not pass a queued event");
    wp_delivery_free(d);
}
