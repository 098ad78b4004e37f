/* The delivery core against the model of the rules: schedules from tests/model/schedules.py, random walks
 * through the model as one worker lives them, with what it has to do. tests/model/README.md has their format.
 */
#include "delivery/delivery.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS = 16, CALLS = 8, WORDS = 24, LINE = 256, FLOOR_AGAIN_US = 200000 };

struct play { /* of one schedule */
    struct wp_delivery *d;
    struct wp_delivery_budget budget;
    struct wp_batch calls[CALLS]; /* under way, oldest first */
    size_t call_count;
    unsigned generation;     /* of the last begin */
    int unconfirmed[EVENTS]; /* records on their way to Kafka */
    int64_t now_us;
    bool restarted; /* by the last reply */
    char trace[8192];
};

struct words {
    char *word[WORDS];
    size_t count;
};

static void need(struct play *p, bool holds, const char *what) {
    cr_assert(holds, "%s:\n%s", what, p->trace);
}

static int64_t number(const struct words *w, size_t i) {
    return i < w->count ? strtoll(w->word[i], NULL, 10) : -99;
}

static void released(void *ctx, void *item, enum wp_delivery_end end) {
    (void)ctx, (void)item, (void)end;
}

static void play_end(struct play *p) {
    wp_delivery_free(p->d);
    *p = (struct play){.now_us = 1000000};
}

static void play_new(struct play *p) {
    play_end(p);
    p->budget.limit = 1000000;
    struct wp_delivery_owner owner = {.window = 1000, .budget = &p->budget, .release = released};
    p->d = wp_delivery_new(&owner, p->now_us);
}

static bool next_is(struct play *p, bool flush, enum wp_effect_kind kind, struct wp_effect *ret) {
    while (wp_delivery_next(p->d, p->now_us, flush, ret)) {
        if (ret->kind == kind) return true;
        if (ret->kind != WP_EFFECT_PAUSE && ret->kind != WP_EFFECT_RESUME) return false;
    }
    return false;
}

/* ---- the lines ---- */

static void on_begin(struct play *p, const struct words *w) {
    struct wp_effect effect;
    need(p, next_is(p, false, WP_EFFECT_FIND_START, &effect), "it does not ask where to begin");
    p->generation = wp_delivery_generation(p->d);
    wp_delivery_begin(p->d, p->generation, number(w, 1), number(w, 2), number(w, 3));
    need(p, next_is(p, false, WP_EFFECT_SEEK, &effect) && effect.offset == number(w, 1),
         "it does not read from there");
    memset(p->unconfirmed, 0, sizeof p->unconfirmed);
    p->call_count = 0;
}

static void publish(struct play *p, int64_t offset) {
    wp_delivery_published(p->d, offset);
    p->unconfirmed[offset]++;
}

static void on_send(struct play *p, const struct words *w) {
    struct wp_batch batch;
    void *item;
    int64_t offset;
    need(p, wp_delivery_batch_open(p->d, p->now_us, &batch), "it sends nothing");
    need(p, batch.prev == number(w, 1) && batch.floor == number(w, 2), "another prev or floor");
    for (size_t i = 3; i < w->count; i++) {
        need(p, wp_delivery_batch_next(p->d, &batch, &offset, &item) && offset == number(w, i),
             "another event is sent");
        if (!strstr(w->word[i], ":dead")) continue;
        publish(p, offset);
        wp_delivery_batch_refuse(p->d, &batch, offset);
    }
    if (batch.count == 0) return;
    wp_delivery_batch_sent(p->d, &batch);
    p->calls[p->call_count++] = batch;
}

static void on_wait(struct play *p) {
    struct wp_batch batch;
    need(p, !wp_delivery_batch_open(p->d, p->now_us, &batch), "it does not wait");
}

static struct wp_batch oldest_call(struct play *p) {
    need(p, p->call_count > 0, "no call is under way");
    struct wp_batch batch = p->calls[0];
    memmove(p->calls, p->calls + 1, --p->call_count * sizeof *p->calls);
    return batch;
}

static enum wp_refusal refusal(const char *word) {
    if (strcmp(word, "gap") == 0) return WP_REFUSAL_GAP;
    return strcmp(word, "unknown") == 0 ? WP_REFUSAL_UNKNOWN : WP_REFUSAL_LOST;
}

static void on_reply(struct play *p, const struct words *w) {
    struct wp_batch batch = oldest_call(p);
    int64_t applied = number(w, 2);
    if (strcmp(w->word[1], "ok") != 0) {
        p->restarted = wp_delivery_refused(p->d, &batch, refusal(w->word[1]), applied, "", p->now_us);
        return;
    }
    for (size_t i = 4; i < w->count; i++) {
        int64_t offset = number(w, i);
        if (strstr(w->word[i], ":result") && wp_delivery_waits(p->d, &batch, applied, offset))
            publish(p, offset);
    }
    wp_delivery_answered(p->d, &batch, applied, number(w, 3), p->now_us);
}

static void on_tell(struct play *p, const struct words *w) {
    struct wp_effect effect;
    need(p, next_is(p, true, WP_EFFECT_TELL_FLOOR, &effect), "it does not tell its floor");
    need(p, effect.prev == number(w, 1) && effect.offset == number(w, 2), "it tells another floor");
}

static void on_told(struct play *p, const struct words *w) {
    if (strcmp(w->word[1], "lost") != 0) {
        wp_delivery_floor_acked(p->d, p->generation, number(w, 1));
        return;
    }
    wp_delivery_floor_lost(p->d, p->generation, p->now_us);
    p->now_us += FLOOR_AGAIN_US;
}

static void on_commit(struct play *p, const struct words *w) {
    struct wp_effect effect;
    need(p, next_is(p, true, WP_EFFECT_COMMIT, &effect) && effect.offset == number(w, 1),
         "it does not commit that");
    wp_delivery_committed(p->d, p->generation, effect.offset, true, p->now_us);
}

static void on_confirm(struct play *p, const struct words *w) {
    int64_t offset = number(w, 1);
    need(p, p->unconfirmed[offset] == 1, "not published once");
    p->unconfirmed[offset]--;
    wp_delivery_confirmed(p->d, p->generation, offset);
}

static void play_line(struct play *p, const struct words *w) {
    const char *verb = w->word[0];
    if (strcmp(verb, "begin") == 0)
        on_begin(p, w);
    else if (strcmp(verb, "take") == 0)
        need(p, wp_delivery_take(p->d, number(w, 1), 1, p), "not taken");
    else if (strcmp(verb, "send") == 0)
        on_send(p, w);
    else if (strcmp(verb, "wait") == 0)
        on_wait(p);
    else if (strcmp(verb, "reply") == 0)
        on_reply(p, w);
    else if (strcmp(verb, "tell") == 0)
        on_tell(p, w);
    else if (strcmp(verb, "told") == 0)
        on_told(p, w);
    else if (strcmp(verb, "commit") == 0)
        on_commit(p, w);
    else if (strcmp(verb, "confirm") == 0)
        on_confirm(p, w);
    else if (strcmp(verb, "anew") == 0)
        p->restarted = wp_delivery_restart(p->d, p->now_us, 0);
    else if (strcmp(verb, "restart") == 0)
        need(p, p->restarted, "it does not begin again");
    else
        cr_assert_fail("unknown line: %s", verb);
    if (strcmp(verb, "reply") != 0 && strcmp(verb, "anew") != 0) p->restarted = false;
}

/* ---- */

static void split(char *line, struct words *w) {
    char *rest = line;
    w->count = 0;
    for (char *word; w->count < WORDS && (word = strtok_r(rest, " \n", &rest));) w->word[w->count++] = word;
}

Test(delivery, does_what_the_model_of_its_rules_does) {
    FILE *file = fopen(DELIVERY_SCHEDULES, "re");
    if (!file) cr_skip_test("no %s: there was no python3 when this was built", DELIVERY_SCHEDULES);
    struct play p = {.now_us = 1000000};
    char line[LINE];
    struct words words;
    int schedules = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "schedule", 8) == 0) {
            play_new(&p);
            schedules++;
            continue;
        }
        size_t used = strlen(p.trace);
        (void)snprintf(p.trace + used, sizeof p.trace - used, "  %s", line);
        split(line, &words);
        play_line(&p, &words);
    }
    play_end(&p);
    (void)fclose(file);
    cr_assert(schedules > 100, "only %d schedules", schedules);
}
