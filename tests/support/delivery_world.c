#include "support/delivery_world.h"
#include "delivery/begin.h"
#include "delivery/delivery.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOG = 48,
    CALLS = 64,
    OUTPUTS = 512,
    STORED_MAX = 6,
    WINDOW = 8,
    BYTES = 100,
    BUDGET = 1000,
    TURNS = 4000
};
enum action { TAKE, SEND, RUN, REPLY, BREAK, CONFIRM, FAIL, NEXT, OWN, TIME, REFUSE, VERIFY, SWAY, ACTIONS };
static const char *const action_names[ACTIONS] = {"take",    "send",   "run",     "reply", "break",
                                                  "confirm", "fail",   "next",    "own",   "time",
                                                  "refuse",  "verify", "position"};

struct slot { /* what redis/delivery.lua keeps */
    int64_t applied, floor;
    bool stored[LOG], effect[LOG];
};

struct call {
    struct wp_batch batch;
    int64_t offsets[LOG];
    size_t count;
    bool ran, tells_floor;
    int answer; /* 1 answered, 0 gap, -1 function error, -2 not now */
    int64_t applied, floor;
    bool has_result[LOG];
};

struct output {
    int worker;
    unsigned life, generation;
    int64_t offset;
};

struct worker {
    struct wp_delivery *d;
    struct wp_delivery_budget budget;
    unsigned life;      /* counts its assignments */
    bool owner, paused; /* owner: as it believes */
    int64_t position, next_asked;
    struct call *calls[CALLS]; /* of its connection, oldest first */
    size_t call_count, ran;
};

struct world {
    struct worker workers[2];
    int owner; /* whom Kafka gave the partition last */
    struct slot slot;
    int64_t committed, now_us;
    int published[LOG];
    int lookups[2][LOG]; /* of an event's schema, by each worker */
    struct output outputs[OUTPUTS];
    size_t output_count;
    bool refuse_next, calm;
    char *text;
    bool failed;
};

static char items[LOG]; /* what an event's item is here: its place */

static bool is_hole(int64_t offset) {
    return offset % 11 == 7;
}
static bool is_bad(int64_t offset) {
    return offset % 13 == 5;
} /* cannot be decoded */
static bool is_poison(int64_t offset) {
    return offset % 17 == 9;
} /* the function fails on it */

/* Its schema is looked up: the second time that it is to be sent it is known. */
static bool is_unknown(struct world *w, int number, int64_t offset) {
    return offset % 7 == 3 && w->lookups[number][offset]++ == 0;
}

static void violated(struct world *w, const char *format, ...) {
    va_list args;
    if (w->failed) return;
    w->failed = true;
    va_start(args, format);
    (void)vsnprintf(w->text, 256, format, args);
    va_end(args);
}

/* ---- the slot ---- */

static size_t stored_count(const struct slot *s) {
    size_t n = 0;
    for (int i = 0; i < LOG; i++) n += s->stored[i];
    return n;
}

static void move_floor(struct world *w, int64_t floor) {
    struct slot *s = &w->slot;
    if (floor <= s->floor) return;
    s->floor = floor;
    for (int64_t i = 0; i < floor && i < LOG; i++) {
        s->stored[i] = false;
        if (!is_hole(i) && w->published[i] == 0)
            violated(w, "floor %lld but offset %lld was never published", (long long)floor, (long long)i);
    }
}

static void apply_one(struct world *w, int64_t offset) {
    struct slot *s = &w->slot;
    if (s->effect[offset]) violated(w, "offset %lld was applied twice", (long long)offset);
    for (int64_t i = s->floor; i < offset; i++)
        if (!is_hole(i) && !is_bad(i) && !s->effect[i])
            violated(w, "offset %lld was applied before %lld", (long long)offset, (long long)i);
    s->effect[offset] = s->stored[offset] = true;
    s->applied = offset;
}

static void run_call(struct world *w, struct call *c) {
    struct slot *s = &w->slot;
    int64_t a = s->applied > s->floor - 1 ? s->applied : s->floor - 1;
    c->ran = true;
    if (c->tells_floor) {
        if (c->batch.prev <= a && s->floor >= 0) move_floor(w, c->batch.floor);
        c->floor = s->floor;
        return;
    }
    if (w->refuse_next) {
        w->refuse_next = false;
        c->answer = -2;
        return;
    }
    c->applied = a;
    if (c->batch.prev > a) return;
    for (size_t i = 0; i < c->count; i++)
        if (c->offsets[i] > a && is_poison(c->offsets[i]) && !c->batch.skip) c->answer = -1;
    if (c->answer == -1) return;
    c->answer = 1;
    move_floor(w, c->batch.floor);
    for (size_t i = 0; i < c->count; i++) {
        int64_t offset = c->offsets[i];
        if (offset > a) {
            if (stored_count(s) >= STORED_MAX) break;
            apply_one(w, offset);
            a = offset;
        }
        c->has_result[offset] = s->stored[offset];
    }
    c->applied = s->applied > s->floor - 1 ? s->applied : s->floor - 1;
    c->floor = s->floor;
}

/* ---- a worker ---- */

static void released(void *ctx, void *item, enum wp_delivery_end end) {
    (void)ctx, (void)item, (void)end;
}

static void publish(struct world *w, int number, unsigned generation, int64_t offset) {
    if (w->output_count == OUTPUTS) return;
    wp_delivery_published(w->workers[number].d, offset);
    w->outputs[w->output_count++] = (struct output){number, w->workers[number].life, generation, offset};
}

static void add_call(struct worker *k, const struct call *call) {
    struct call *c = malloc(sizeof *c);
    *c = *call;
    k->calls[k->call_count++] = c;
}

static void send_batch(struct world *w, int number, uint32_t most) {
    struct worker *k = &w->workers[number];
    struct call c = {0};
    void *item;
    int64_t offset;
    if (k->call_count == CALLS || !wp_delivery_batch_open(k->d, w->now_us, &c.batch)) return;
    while (c.batch.count < most && wp_delivery_batch_next(k->d, &c.batch, &offset, &item)) {
        if (is_bad(offset)) {
            publish(w, number, c.batch.generation, offset);
            wp_delivery_batch_refuse(k->d, &c.batch, offset);
        } else if (!c.batch.skip && is_unknown(w, number, offset)) {
            wp_delivery_batch_put_back(k->d, &c.batch);
            break;
        } else {
            c.offsets[c.count++] = offset;
        }
    }
    if (c.count == 0) return;
    wp_delivery_batch_sent(k->d, &c.batch);
    add_call(k, &c);
}

static void reply(struct world *w, int number) {
    struct worker *k = &w->workers[number];
    if (k->ran == 0) return;
    struct call *c = k->calls[0];
    memmove(k->calls, k->calls + 1, --k->call_count * sizeof *k->calls);
    k->ran--;
    if (c->tells_floor) {
        wp_delivery_floor_acked(k->d, c->batch.generation, c->floor);
    } else if (c->answer == 1) {
        for (size_t i = 0; i < c->count; i++)
            if (c->has_result[c->offsets[i]] && wp_delivery_waits(k->d, &c->batch, c->applied, c->offsets[i]))
                publish(w, number, c->batch.generation, c->offsets[i]);
        wp_delivery_answered(k->d, &c->batch, c->applied, c->floor, w->now_us);
    } else {
        enum wp_refusal why = c->answer == 0    ? WP_REFUSAL_GAP
                              : c->answer == -1 ? WP_REFUSAL_FAILED
                                                : WP_REFUSAL_NOT_NOW;
        (void)wp_delivery_refused(k->d, &c->batch, why, c->applied, "it failed", w->now_us);
    }
    free(c);
}

/* The connection is lost; `late` of the calls that have not run yet still run. */
static void break_connection(struct world *w, int number, size_t late) {
    struct worker *k = &w->workers[number];
    for (size_t i = 0; i < k->call_count; i++) {
        struct call *c = k->calls[i];
        if (!c->ran && late > 0) {
            late--;
            run_call(w, c);
        }
        if (c->tells_floor)
            wp_delivery_floor_lost(k->d, c->batch.generation, w->now_us);
        else
            (void)wp_delivery_refused(k->d, &c->batch, WP_REFUSAL_LOST, 0, "", w->now_us);
        free(c);
    }
    k->call_count = k->ran = 0;
}

static void find_start(struct world *w, struct worker *k) {
    struct wp_begin_facts facts = {
        .committed = w->committed, .low = 0, .high = LOG, .floor = w->slot.floor, .recovered = true};
    struct wp_begin begin = wp_begin_decide(&facts);
    if (begin.kind == WP_BEGIN_SET_FLOOR && w->slot.floor < 0) w->slot.floor = begin.start;
    if (begin.kind == WP_BEGIN_BLOCKED || begin.kind == WP_BEGIN_RECOVER)
        violated(w, "it was blocked at %lld", (long long)begin.start);
    wp_delivery_begin(k->d, wp_delivery_generation(k->d), begin.start, w->slot.floor, facts.committed);
}

static void commit(struct world *w, int number, int64_t offset, bool fails) {
    struct worker *k = &w->workers[number];
    bool ok = number == w->owner && !fails; /* Kafka refuses the commit of who owns it no longer */
    if (ok) {
        if (offset > w->slot.floor)
            violated(w, "offset %lld was committed beyond the slot's floor %lld", (long long)offset,
                     (long long)w->slot.floor);
        for (int64_t i = 0; i < offset; i++)
            if (!is_hole(i) && w->published[i] == 0)
                violated(w, "offset %lld was committed, %lld never published", (long long)offset,
                         (long long)i);
        if (offset > w->committed) w->committed = offset;
    }
    wp_delivery_committed(k->d, wp_delivery_generation(k->d), offset, ok, w->now_us);
}

static void next_effects(struct world *w, int number, bool fails) {
    struct worker *k = &w->workers[number];
    struct wp_effect effect;
    while (wp_delivery_next(k->d, w->now_us, true, &effect)) {
        struct call tell = {.batch = {.generation = wp_delivery_generation(k->d),
                                      .floor = effect.offset,
                                      .prev = effect.prev},
                            .tells_floor = true};
        switch (effect.kind) {
        case WP_EFFECT_FIND_START:
            find_start(w, k);
            break;
        case WP_EFFECT_SEEK:
            k->position = effect.offset;
            k->paused = false;
            break;
        case WP_EFFECT_PAUSE:
            k->paused = true;
            break;
        case WP_EFFECT_RESUME:
            k->paused = false;
            break;
        case WP_EFFECT_TELL_FLOOR:
            if (k->call_count < CALLS)
                add_call(k, &tell);
            else
                wp_delivery_floor_lost(k->d, tell.batch.generation, w->now_us);
            break;
        case WP_EFFECT_COMMIT:
            commit(w, number, effect.offset, fails);
            break;
        case WP_EFFECT_DEAD_LETTER:
            publish(w, number, wp_delivery_generation(k->d), effect.offset);
            break;
        }
    }
}

static void take(struct world *w, struct worker *k, int count) {
    struct wp_effect effect;
    while (count-- > 0 && k->owner && !k->paused && k->position < LOG) {
        int64_t offset = k->position++;
        if (is_hole(offset)) continue;
        (void)wp_delivery_take(k->d, offset, BYTES, &items[offset]);
        while (wp_delivery_next(k->d, 0, false, &effect))
            if (effect.kind == WP_EFFECT_PAUSE)
                k->paused = true;
            else if (effect.kind == WP_EFFECT_RESUME)
                k->paused = false;
            else if (effect.kind == WP_EFFECT_SEEK)
                k->position = effect.offset;
            else if (effect.kind == WP_EFFECT_DEAD_LETTER)
                publish(w, (int)(k - w->workers), wp_delivery_generation(k->d), effect.offset);
            else if (effect.kind == WP_EFFECT_FIND_START)
                find_start(w, k);
    }
    if (wp_delivery_count(k->d) > WINDOW + 1)
        violated(w, "the window holds %zu events", wp_delivery_count(k->d));
}

static void make(struct world *w, int number) {
    struct worker *k = &w->workers[number];
    wp_delivery_free(k->d);
    struct wp_delivery_owner owner = {.window = WINDOW, .budget = &k->budget, .release = released};
    k->budget = (struct wp_delivery_budget){.limit = BUDGET};
    k->d = wp_delivery_new(&owner, w->now_us);
    k->owner = k->paused = true;
    k->life++;
}

/* Its records stay on their way to Kafka, and calls on their way to the slot. */
static void drop(struct world *w, int number, size_t late) {
    struct worker *k = &w->workers[number];
    break_connection(w, number, late);
    wp_delivery_free(k->d);
    k->d = NULL;
    k->owner = false;
    if (k->budget.used != 0) violated(w, "%zu bytes are in use after all was released", k->budget.used);
}

static void end_output(struct world *w, size_t i, bool ok) {
    struct output o = w->outputs[i];
    struct worker *k = &w->workers[o.worker];
    w->outputs[i] = w->outputs[--w->output_count];
    if (ok) w->published[o.offset]++;
    if (!k->d || k->life != o.life) return;
    if (ok)
        wp_delivery_confirmed(k->d, o.generation, o.offset);
    else
        (void)wp_delivery_unconfirmed(k->d, o.generation, w->now_us);
}

/* ---- steps ---- */

static void act(struct world *w, enum action action, int number, unsigned n) {
    struct worker *k = &w->workers[number];
    if (action != OWN && action != TIME && !k->d) return;
    switch (action) {
    case TAKE:
        take(w, k, 1 + (int)(n % 6));
        break;
    case SEND:
        send_batch(w, number, 1 + n % 5);
        break;
    case RUN:
        if (k->ran < k->call_count) run_call(w, k->calls[k->ran++]);
        break;
    case REPLY:
        reply(w, number);
        break;
    case BREAK:
        break_connection(w, number, n % 4);
        break;
    case CONFIRM:
        if (w->output_count) end_output(w, n % w->output_count, true);
        break;
    case FAIL:
        if (w->output_count && n % 4 == 0) end_output(w, n % w->output_count, false);
        break;
    case NEXT:
        next_effects(w, number, n % 5 == 0 && !w->calm);
        break;
    case OWN: /* Kafka gives the partition to `number`; the other learns of it now, or later */
        if (n % 4) return;
        if (w->workers[!number].d && n % 8 == 0) drop(w, !number, n % 3);
        if (!k->d) make(w, number);
        w->owner = number;
        break;
    case TIME:
        w->now_us += (int64_t)(n % 8) * 100000;
        break;
    case REFUSE:
        w->refuse_next = n % 3 == 0;
        break;
    case VERIFY: {
        struct wp_delivery_known known = wp_delivery_known(k->d);
        if (wp_delivery_verify(k->d, &known, w->slot.applied, w->slot.floor, w->now_us))
            violated(w, "the slot was thought to have forgotten");
        break;
    }
    case SWAY:
        if (!k->paused && wp_delivery_count(k->d) == 0) wp_delivery_at_position(k->d, k->position);
        break;
    case ACTIONS:
        break;
    }
    if (k->d && k->budget.used != BYTES * wp_delivery_count(k->d))
        violated(w, "%zu bytes in use for %zu events", k->budget.used, wp_delivery_count(k->d));
}

static void decode(uint16_t step, enum action *ret_action, int *ret_worker, unsigned *ret_n) {
    *ret_action = (enum action)(step % ACTIONS);
    *ret_worker = step / ACTIONS % 2;
    *ret_n = step / ACTIONS / 2u;
}

void delivery_world_describe(uint16_t step, char text[64]) {
    enum action action;
    int number;
    unsigned n;
    decode(step, &action, &number, &n);
    (void)snprintf(text, 64, "%s worker %d, %u", action_names[action], number, n);
}

/* No faults any more: everything gets done. */
static void finish(struct world *w) {
    static const enum action turn[] = {TAKE, SEND, RUN, REPLY, CONFIRM, NEXT, TIME, SWAY};
    int number = w->owner;
    w->calm = true;
    w->refuse_next = false;
    if (w->workers[!number].d) drop(w, !number, 0);
    if (!w->workers[number].d) make(w, number);
    for (int i = 0; i < TURNS && !w->failed; i++) {
        for (size_t a = 0; a < sizeof turn / sizeof *turn; a++) act(w, turn[a], number, 5);
        if (w->committed == LOG && wp_delivery_is_settled(w->workers[number].d)) break;
    }
    if (w->committed != LOG)
        violated(w, "it stands still: committed %lld, floor %lld, applied %lld", (long long)w->committed,
                 (long long)w->slot.floor, (long long)w->slot.applied);
    for (int i = 0; i < LOG; i++)
        if (!is_hole(i) && !is_bad(i) && !w->slot.effect[i]) violated(w, "offset %d was lost", i);
}

const char *delivery_world_play(const uint16_t *schedule, size_t steps, size_t *ret_step, char text[256]) {
    struct world *w = calloc(1, sizeof *w);
    w->text = text;
    w->committed = -1;
    w->slot.applied = w->slot.floor = -1;
    make(w, 0);
    size_t i;
    for (i = 0; i < steps && !w->failed; i++) {
        enum action action;
        int number;
        unsigned n;
        decode(schedule[i], &action, &number, &n);
        act(w, action, number, n);
    }
    if (!w->failed) finish(w);
    *ret_step = i;
    bool failed = w->failed;
    for (int number = 0; number < 2; number++)
        if (w->workers[number].d) drop(w, number, 0);
    free(w);
    return failed ? text : NULL;
}
