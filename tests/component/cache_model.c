/* Random batches against the cache and against the plainest possible cache, one event after the other:
 * whatever the batches, the answers, the statistics and what is left are the same. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 8
#define SPACES 3
#define CALLS 400
#define MAX_BYTES 120

static const char *const spaces[SPACES] = {"tool", "pattern", "own"};
static const char settings[] =
    "{'enabled': true, 'max_entries': 9, 'max_bytes': 120, 'max_value_bytes': 60, 'default_ttl': 40, "
    "'ttl': {'tool': 90}}";

struct entry {
    bool stored;
    int size, version, count;
    int64_t use, ttl_end; /* in s of the test's time */
};

static struct model {
    struct entry entries[SPACES][KEYS];
    int size, bytes, hits, misses, evictions, expired, limit;
    int64_t uses, now;
} model;

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, settings);
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(cache_model, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* ---- the plain cache ---- */

static void drop(struct entry *e) {
    model.size--;
    model.bytes -= e->size;
    *e = (struct entry){0};
}

static void drop_expired(void) {
    for (int i = 0; i < SPACES * KEYS; i++) {
        struct entry *e = &model.entries[0][0] + i;
        if (e->stored && e->ttl_end <= model.now) {
            drop(e);
            model.expired++;
        }
    }
}

static void make_room(int entries, int bytes, const struct entry *but) {
    while (model.size + entries > model.limit || model.bytes + bytes > MAX_BYTES) {
        struct entry *victim = NULL;
        for (int i = 0; i < SPACES * KEYS; i++) {
            struct entry *e = &model.entries[0][0] + i;
            if (e->stored && e != but && (!victim || e->use < victim->use)) victim = e;
        }
        drop(victim);
        model.evictions++;
    }
}

/* ---- one event in both: what the answer must be ---- */

struct step {
    const char *op;
    int space, key, value, ttl, count;
    bool hit;
    int version, answer_ttl, answer_count; /* -1: none */
    const char *reason;
};

static const char *key_name(int key) {
    static const char *const names[KEYS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    return names[key];
}

/* Of that length, saying which set it came from. */
static const char *value_text(int version, int length) {
    static char text[128];
    snprintf(text, sizeof text, "%0*d", length, version);
    return text;
}

static void model_set(struct step *s, int version) {
    struct entry *e = &model.entries[s->space][s->key];
    int size = 1 + s->value, ttl = s->ttl != NO_TTL ? s->ttl : s->space == 0 ? 90 : 40;
    s->hit = e->stored;
    if (s->value > 60) {
        s->reason = "too_large";
    } else {
        s->answer_ttl = ttl;
        if (ttl > 0) make_room(e->stored ? 0 : 1, size - e->size, e);
    }
    if (e->stored) drop(e);
    if (s->reason || ttl == 0) return;
    *e = (struct entry){
        .stored = true, .size = size, .version = version, .use = ++model.uses, .ttl_end = model.now + ttl};
    model.size++;
    model.bytes += size;
}

static void model_get(struct step *s) {
    struct entry *e = &model.entries[s->space][s->key];
    s->hit = e->stored;
    if (!e->stored) {
        model.misses++;
        return;
    }
    model.hits++;
    e->count++;
    e->use = ++model.uses;
    s->version = e->version;
    s->value = e->size - 1;
    s->answer_ttl = (int)(e->ttl_end - model.now);
}

static void model_clear(struct step *s) {
    s->answer_count = 0;
    for (int i = 0; i < SPACES; i++)
        for (int k = 0; k < KEYS; k++)
            if (model.entries[i][k].stored && (s->space < 0 || s->space == i)) {
                drop(&model.entries[i][k]);
                s->answer_count++;
            }
    s->hit = s->answer_count > 0;
}

static void random_step(struct step *s, int version) {
    int dice = rand() % 100;
    *s = (struct step){.op = "set",
                       .space = rand() % SPACES,
                       .key = rand() % KEYS,
                       .ttl = NO_TTL,
                       .version = -1,
                       .answer_ttl = -1,
                       .answer_count = -1};
    if (dice < 40) {
        s->value = 8 + rand() % 20 + (rand() % 20 == 0 ? 50 : 0);
        int ttls[] = {NO_TTL, NO_TTL, 5, 20, 0};
        s->ttl = ttls[rand() % 5];
        model_set(s, version);
    } else if (dice < 85) {
        s->op = "get";
        model_get(s);
    } else if (dice < 95) {
        struct entry *e = &model.entries[s->space][s->key];
        s->op = "invalidate";
        s->hit = e->stored;
        if (e->stored) drop(e);
    } else if (dice < 98) {
        s->op = "clear";
        s->space = rand() % (SPACES + 1) - 1;
        model_clear(s);
    } else {
        s->op = "resize";
        s->count = model.limit = s->answer_count = 4 + rand() % 8;
        make_room(0, 0, NULL);
    }
}

static void add_step(struct test_events *events, const struct step *s, int version) {
    bool set = strcmp(s->op, "set") == 0, keyed = s->op[0] != 'c' && s->op[0] != 'r';
    cache_add(&slot, events, s->op, s->op[0] == 'r' || s->space < 0 ? "" : spaces[s->space],
              keyed ? key_name(s->key) : "", set ? value_text(version, s->value) : NULL, s->ttl, s->count);
}

static void check_step(size_t i, const struct step *s) {
    const struct test_reply *r = &slot.answer;
    cr_assert_str_eq(record_str(r, i, "op"), s->op);
    cr_assert_eq(record_bool(r, i, "hit"), s->hit, "%s of %s", s->op, record_str(r, i, "cache_key"));
    cr_assert_str_eq(record_str(r, i, "reason"), s->reason ? s->reason : "");
    if (s->version >= 0) cr_assert_str_eq(record_str(r, i, "value"), value_text(s->version, s->value));
    cr_assert_eq(record_absent(r, i, "ttl_seconds") ? -1 : record_int(r, i, "ttl_seconds"), s->answer_ttl,
                 "%s", s->op);
    cr_assert_eq(record_absent(r, i, "count") ? -1 : record_int(r, i, "count"), s->answer_count, "%s", s->op);
}

static void check_stats(void) {
    json_t *stats = calls_public(&slot.redis, "wp_cache_stats", NULL);
    const struct {
        const char *name;
        int expected;
    } all[] = {{"size", model.size},     {"bytes", model.bytes},         {"hits", model.hits},
               {"misses", model.misses}, {"evictions", model.evictions}, {"expired", model.expired},
               {"max_size", model.limit}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cr_assert_eq(json_number_at(stats, all[i].name, NULL), all[i].expected, "%s: %g, not %d", all[i].name,
                     json_number_at(stats, all[i].name, NULL), all[i].expected);
    json_decref(stats);
}

/* What the structures hold agrees with each other and with the model. */
static void check_structures(void) {
    for (int i = 0; i < SPACES; i++) {
        long long size = 0;
        for (int k = 0; k < KEYS; k++) size += model.entries[i][k].stored;
        const char *kinds[] = {"HLEN wp:{cache}:v:%s", "HLEN wp:{cache}:m:%s", "ZCARD wp:{cache}:lru:%s",
                               "ZCARD wp:{cache}:exp:%s"};
        for (int n = 0; n < 4; n++) cr_assert_eq(test_redis_int(&slot.redis, kinds[n], spaces[i]), size);
        for (int n = 0; n < 2; n++) {
            redisReply *head =
                test_redis_command(&slot.redis, "ZSCORE wp:{cache}:%s %s", n ? "exp" : "lru", spaces[i]);
            redisReply *low = test_redis_command(&slot.redis, "ZRANGE wp:{cache}:%s:%s 0 0 WITHSCORES",
                                                 n ? "exp" : "lru", spaces[i]);
            cr_assert_eq(head->type == REDIS_REPLY_NIL, low->elements == 0);
            if (low->elements) cr_assert_str_eq(head->str, low->element[1]->str);
            freeReplyObject(head);
            freeReplyObject(low);
        }
    }
}

/* Time stands still within the model: it was last looked at far in the future. */
static void run(unsigned seed) {
    srand(seed);
    model = (struct model){.limit = 9};
    int64_t base = calls_now(&slot.redis, WP_SLOT_CACHE) / 1000000 + 100000;
    int version = 0;
    for (int call = 0; call < CALLS; call++) {
        struct step steps[32];
        struct test_events events = {0};
        int n = 1 + rand() % (rand() % 4 ? 6 : 32);
        model.now += rand() % 3 ? 0 : rand() % 10;
        freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{cache}:meta now %lld time 9000000000000000",
                                           (long long)((base + model.now) * 1000000)));
        drop_expired();
        for (int i = 0; i < n; i++) {
            random_step(&steps[i], ++version);
            add_step(&events, &steps[i], version);
        }
        cache_send(&slot, &events);
        for (int i = 0; i < n; i++) check_step((size_t)i, &steps[i]);
        if (call % 10 == 0) check_structures();
        if (call > 0) check_stats();
    }
    cr_assert(model.evictions > 50 && model.expired > 50 && model.hits > 50, "the run was too tame");
}

Test(cache_model, batches_answer_as_single_events_would) {
    run(1);
}
Test(cache_model, another_seed) {
    run(2);
}
Test(cache_model, and_another) {
    run(3);
}
