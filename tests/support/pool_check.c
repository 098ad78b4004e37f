/* Owns the check that all that the {pool} slot holds agrees: what the functions count and list, computed
 * again from the rows of containers and requests (their fields: redis/state.lua). */
#include "support/pool_check.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include "support/calls.h"

#define ROOT "wp:{pool}:"

enum container_field { C_STATE, C_POOL, C_HOST, C_MEMORY, C_REUSE, C_REQUEST };
enum waiting_field { W_STATE, W_POOL, W_AGENT, W_TENANT, W_CONTAINER = 5, W_CLAIM = 16 };
enum leased_field { L_KIND, L_AGENT, L_TENANT, L_POOL, L_CONTAINER, L_EPOCH = 16, L_EXPIRES };
enum pool_field {
    P_IDLE,
    P_LEASED,
    P_CREATING,
    P_ENDING,
    P_WAITING,
    P_DRAINING = 11,
    P_RETRY_AT = 13,
    P_RESETTING = 18,
    P_PAUSED
};
enum host_field { H_CAPACITY, H_MEMORY, H_USED, H_MEMORY_USED, H_BEAT, H_STATE, H_TTL = 7, H_ENDING };

static const char *const states[] = {"idle", "leased", "creating", "ending", "waiting"};

/* ---- reading ---- */

/* A hash of rows as an object of arrays. */
static json_t *rows(struct test_redis *redis, const char *name) {
    json_t *all = json_object();
    redisReply *reply = test_redis_command(redis, "HGETALL " ROOT "%s", name);
    for (size_t i = 0; i < reply->elements; i += 2)
        json_object_set_new_nocheck(all, reply->element[i]->str,
                                    calls_unpack_all(reply->element[i + 1]->str, reply->element[i + 1]->len));
    freeReplyObject(reply);
    return all;
}

/* What containers are, from both of their hashes (redis/state.lua). */
static json_t *container_rows(struct test_redis *redis) {
    json_t *all = json_object(), *rest = rows(redis, "c");
    redisReply *reply = test_redis_command(redis, "HGETALL " ROOT "is");
    for (size_t i = 0; i < reply->elements; i += 2) {
        const char *id = reply->element[i]->str, *is = reply->element[i + 1]->str;
        char what = *is == '\n' ? is[1] : 'l';
        const char *state = what == 'c'   ? "creating"
                            : what == 'i' ? "idle"
                            : what == 'l' ? "leased"
                            : what == 'r' ? "resetting"
                                          : "ending";
        json_t *packed = json_object_get(rest, id);
        cr_assert(packed, "%s has no limits", id);
        cr_assert_str_eq(json_string_value(json_array_get(packed, 1)), id);
        json_object_set_new_nocheck(all, id,
                                    json_pack("[s O O O s s]", state, json_array_get(packed, 0),
                                              json_array_get(packed, 2),
                                              json_array_get(json_array_get(packed, 4), 1),
                                              what == 'i' ? is + 2 : "", what == 'l' ? is : ""));
        json_object_del(rest, id);
    }
    cr_assert_eq(json_object_size(rest), 0, "a container without a state");
    freeReplyObject(reply);
    json_decref(rest);
    return all;
}

static const char *text(const json_t *row, size_t field) {
    return json_string_value(json_array_get(row, field));
}

/* A leased request is one array, its answer; of others the values stand alone. */
static json_t *request_rows(struct test_redis *redis) {
    json_t *all = rows(redis, "req"), *row;
    const char *id;
    void *next;
    json_object_foreach_safe(all, next, id, row) {
        json_t *first = json_array_get(row, 0);
        if (json_is_array(first)) json_object_set(all, id, first);
    }
    return all;
}

/* Of a request: it is its packed answer, whose kind is 1. */
static bool is_lease(const json_t *row) {
    return json_is_integer(json_array_get(row, L_KIND));
}

/* Of a request: its container is being bound to it. */
static bool is_bound(const json_t *row) {
    return !is_lease(row) && strcmp(json_string_value(json_array_get(row, 0)), "b") == 0;
}

static json_int_t number(const json_t *row, size_t field) {
    return (json_int_t)json_number_value(json_array_get(row, field));
}

/* All sorted sets of these prefixes: key -> {member: true}. */
static json_t *listed(struct test_redis *redis) {
    static const char *const prefixes[] = {"idle", "wait", "hc"};
    json_t *all = json_object();
    for (size_t n = 0; n < 3; n++) {
        redisReply *keys = test_redis_command(redis, "KEYS " ROOT "%s:*", prefixes[n]);
        for (size_t i = 0; i < keys->elements; i++) {
            json_t *members = json_object();
            redisReply *list = test_redis_command(redis, "ZRANGE %s 0 -1", keys->element[i]->str);
            for (size_t k = 0; k < list->elements; k++)
                json_object_set_new_nocheck(members, list->element[k]->str, json_true());
            json_object_set_new(all, keys->element[i]->str, members);
            freeReplyObject(list);
        }
        freeReplyObject(keys);
    }
    return all;
}

/* ---- what should be ---- */

struct expected {
    json_t *lists;            /* as listed() */
    json_t *counts;           /* pool -> {state: count} */
    json_t *used;             /* host -> {count, memory} */
    json_t *expiry, *timeout; /* deadlines of requests */
    json_t *claims;           /* requests whose claim is kept */
};

static void put(json_t *lists, const char *prefix, const char *name, const char *part, const char *member) {
    char key[512];
    snprintf(key, sizeof key, ROOT "%s:%s%s%s", prefix, name, part ? ":" : "", part ? part : "");
    json_t *members = json_object_get(lists, key);
    if (!members) {
        members = json_object();
        json_object_set_new(lists, key, members);
    }
    json_object_set_new_nocheck(members, member, json_true());
}

static void add(json_t *sums, const char *name, const char *part, json_int_t value) {
    json_t *parts = json_object_get(sums, name);
    if (!parts) {
        parts = json_object();
        json_object_set_new(sums, name, parts);
    }
    json_object_set_new(parts, part, json_integer(json_integer_value(json_object_get(parts, part)) + value));
}

static void expect_containers(struct expected *e, json_t *containers, json_t *requests) {
    const char *id;
    json_t *c;
    json_object_foreach(containers, id, c) {
        const char *state = text(c, C_STATE), *pool = text(c, C_POOL), *host = text(c, C_HOST);
        add(e->counts, pool, state, 1);
        add(e->used, host, "count", 1);
        add(e->used, host, "memory", (json_int_t)ceil(json_number_value(json_array_get(c, C_MEMORY))));
        if (strcmp(state, "ending") == 0) add(e->used, host, "ending", 1);
        put(e->lists, "hc", host, NULL, id);
        if (strcmp(state, "idle") == 0 && text(c, C_REUSE)[0] == '\t') add(e->counts, pool, "paused", 1);
        if (strcmp(state, "idle") == 0) {
            put(e->lists, "idle", pool, NULL, text(c, C_REUSE));
            put(e->lists, "idle", pool, text(c, C_REUSE), id);
        }
        if (strcmp(state, "leased") == 0) {
            json_t *r = json_object_get(requests, text(c, C_REQUEST));
            cr_assert(is_lease(r) || is_bound(r), "%s is leased to %s, which has no lease", id,
                      text(c, C_REQUEST));
            cr_assert_str_eq(text(r, is_lease(r) ? L_CONTAINER : W_CONTAINER), id, "%s has another container",
                             text(c, C_REQUEST));
        } else {
            cr_assert_str_eq(text(c, C_REQUEST), "", "%s is %s and has a request", id, state);
        }
    }
}

/* Of a request that waits, by its tenant, its agent or for all, as pool.reuse has it. */
static void expect_waiting(struct expected *e, const char *id, const json_t *r, const json_t *settings) {
    const char *pool = text(r, W_POOL), *key = text(r, W_TENANT);
    const char *policy = json_string_value(json_object_get(json_object_get(settings, "reuses"), pool));
    char agent[300];
    if (!policy) policy = json_string_value(json_object_get(settings, "reuse"));
    snprintf(agent, sizeof agent, "@%s", text(r, W_AGENT));
    if (strcmp(policy, "same_agent") == 0) key = agent;
    if (strcmp(policy, "always") == 0) key = "*";
    if (strcmp(policy, "never") == 0) key = "!";
    add(e->counts, pool, "waiting", 1);
    put(e->lists, "wait", pool, NULL, id);
    put(e->lists, "wait", pool, key, id);
}

static void expect_requests(struct expected *e, json_t *containers, json_t *requests,
                            const json_t *settings) {
    const char *id;
    json_t *r;
    json_object_foreach(requests, id, r) {
        if (is_lease(r)) {
            json_t *c = json_object_get(containers, text(r, L_CONTAINER));
            cr_assert(c, "%s has a lease on %s, which is not there", id, text(r, L_CONTAINER));
            cr_assert_str_eq(text(c, C_STATE), "leased");
            cr_assert_str_eq(text(c, C_REQUEST), id);
            json_object_set_new_nocheck(e->expiry, id, json_true());
        } else if (strcmp(text(r, 0), "w") == 0) {
            expect_waiting(e, id, r, settings);
            json_object_set_new_nocheck(e->timeout, id, json_true());
        } else if (is_bound(r)) {
            json_t *c = json_object_get(containers, text(r, W_CONTAINER));
            cr_assert(c, "%s is to get %s, which is not there", id, text(r, W_CONTAINER));
            cr_assert_str_eq(text(c, C_REQUEST), id);
            json_object_set_new_nocheck(e->timeout, id, json_true());
        }
        if (!is_lease(r) && json_is_true(json_array_get(r, W_CLAIM)))
            json_object_set_new_nocheck(e->claims, id, json_true());
    }
}

/* ---- compared with what is ---- */

static void same(json_t *is, json_t *should, const char *what) {
    if (json_equal(is, should)) return;
    char *a = json_dumps(is, JSON_SORT_KEYS), *b = json_dumps(should, JSON_SORT_KEYS);
    cr_assert_fail("%s: is %s, should be %s", what, a, b);
}

static void check_pools(struct test_redis *redis, const struct expected *e) {
    json_t *pools = rows(redis, "pools"), *p;
    const char *name;
    json_object_foreach(pools, name, p) {
        json_t *counts = json_object_get(e->counts, name);
        for (size_t i = P_IDLE; i <= P_WAITING; i++) {
            json_int_t should = json_integer_value(json_object_get(counts, states[i]));
            cr_assert_eq(number(p, i), should, "%s of %s: %lld, should be %lld", states[i], name,
                         (long long)number(p, i), (long long)should);
        }
        cr_assert_eq(number(p, P_RESETTING), json_integer_value(json_object_get(counts, "resetting")),
                     "resetting of %s: %lld", name, (long long)number(p, P_RESETTING));
        cr_assert_eq(number(p, P_PAUSED), json_integer_value(json_object_get(counts, "paused")),
                     "paused of %s: %lld", name, (long long)number(p, P_PAUSED));
    }
    json_object_foreach(e->counts, name, p) cr_assert(json_object_get(pools, name), "no pool %s", name);
    json_decref(pools);
}

static void check_hosts(struct test_redis *redis, const struct expected *e) {
    json_t *hosts = rows(redis, "hosts"), *h;
    const char *name;
    json_object_foreach(hosts, name, h) {
        json_t *used = json_object_get(e->used, name);
        cr_assert_eq(number(h, H_USED), json_integer_value(json_object_get(used, "count")), "use of %s: %lld",
                     name, (long long)number(h, H_USED));
        cr_assert_eq(number(h, H_MEMORY_USED), json_integer_value(json_object_get(used, "memory")),
                     "memory of %s: %lld", name, (long long)number(h, H_MEMORY_USED));
        cr_assert_eq(number(h, H_ENDING), json_integer_value(json_object_get(used, "ending")), "ending on %s",
                     name);
        if (number(h, H_CAPACITY) > 0) /* else it is known by its leases only, and not registered yet */
            cr_assert_leq(number(h, H_USED), number(h, H_CAPACITY), "%s has more than its capacity", name);
    }
    json_decref(hosts);
}

static void check_deadlines(struct test_redis *redis, const char *name, json_t *should) {
    json_t *is = json_object();
    redisReply *reply = test_redis_command(redis, "ZRANGE " ROOT "%s 0 -1", name);
    for (size_t i = 0; i < reply->elements; i++)
        json_object_set_new_nocheck(is, reply->element[i]->str, json_true());
    freeReplyObject(reply);
    same(is, should, name);
    json_decref(is);
}

static void check_claims(struct test_redis *redis, json_t *should) {
    json_t *is = json_object();
    redisReply *reply = test_redis_command(redis, "HKEYS " ROOT "claims");
    for (size_t i = 0; i < reply->elements; i++)
        json_object_set_new_nocheck(is, reply->element[i]->str, json_true());
    freeReplyObject(reply);
    same(is, should, "claims");
    json_decref(is);
}

/* An agent's row begins with the request that it holds a container for, up to a line feed. */
static void check_agents(struct test_redis *redis, json_t *requests) {
    redisReply *agents = test_redis_command(redis, "HGETALL " ROOT "agents");
    for (size_t i = 0; i < agents->elements; i += 2) {
        const char *id = agents->element[i]->str, *row = agents->element[i + 1]->str;
        char request[300];
        snprintf(request, sizeof request, "%.*s", (int)strcspn(row, "\n"), row);
        if (!*request) {
            redisReply *seen = test_redis_command(redis, "ZSCORE " ROOT "seen %s", id);
            cr_assert(seen->type != REDIS_REPLY_NIL, "agent %s will never be forgotten", id);
            freeReplyObject(seen);
            continue;
        }
        json_t *r = json_object_get(requests, request);
        cr_assert(is_lease(r), "agent %s holds %s, which has no lease", id, request);
        cr_assert_str_eq(text(r, L_AGENT), id);
    }
    freeReplyObject(agents);
}

/* Every request that ended is on the list by which it will be forgotten. */
static void check_ended(struct test_redis *redis, json_t *requests) {
    json_t *ended = json_object(), *r;
    redisReply *reply = test_redis_command(redis, "LRANGE " ROOT "ended 0 -1");
    for (size_t i = 0; i < reply->elements; i++)
        json_object_set_new_nocheck(ended, reply->element[i]->str, json_true());
    freeReplyObject(reply);
    const char *id;
    json_object_foreach(requests, id, r) {
        if (!is_lease(r) && !is_bound(r) && strcmp(text(r, 0), "w") != 0)
            cr_assert(json_object_get(ended, id), "%s ended and will never be forgotten", id);
    }
    json_decref(ended);
}

void pool_check_restored(struct test_redis *redis, int max_containers) {
    json_t *pools = rows(redis, "pools"), *hosts = rows(redis, "hosts"), *p, *h;
    const char *name;
    bool room = false;
    int64_t now = calls_now(redis, WP_SLOT_POOL);
    json_object_foreach(hosts, name, h) {
        bool up = strcmp(text(h, H_STATE), "up") == 0 && now < number(h, H_BEAT) + number(h, H_TTL) - 1000000;
        if (up && number(h, H_USED) < number(h, H_CAPACITY) &&
            number(h, H_MEMORY) - number(h, H_MEMORY_USED) >= 1000)
            room = true;
    }
    json_object_foreach(pools, name, p) {
        json_int_t total = number(p, P_IDLE) + number(p, P_LEASED) + number(p, P_CREATING) +
                           number(p, P_RESETTING) + number(p, P_ENDING);
        if (!room || json_is_true(json_array_get(p, P_DRAINING)) || number(p, P_RETRY_AT) > 0) continue;
        cr_assert(number(p, P_WAITING) <= number(p, P_CREATING) || total >= max_containers,
                  "in %s %lld wait, %lld are created, and there is room", name,
                  (long long)number(p, P_WAITING), (long long)number(p, P_CREATING));
    }
    json_decref(pools);
    json_decref(hosts);
}

/* Those of the last call. */
static json_t *kept_settings(struct test_redis *redis) {
    redisReply *reply = test_redis_command(redis, "HGET " ROOT "meta settings");
    json_t *settings = reply->type == REDIS_REPLY_STRING ? calls_unpack(reply) : json_object();
    freeReplyObject(reply);
    return settings;
}

void pool_check(struct test_redis *redis) {
    json_t *settings = kept_settings(redis);
    json_t *containers = container_rows(redis), *requests = request_rows(redis), *is = listed(redis);
    struct expected e = {json_object(), json_object(), json_object(),
                         json_object(), json_object(), json_object()};
    expect_containers(&e, containers, requests);
    expect_requests(&e, containers, requests, settings);
    same(is, e.lists, "lists");
    check_pools(redis, &e);
    check_hosts(redis, &e);
    check_deadlines(redis, "expiry", e.expiry);
    check_deadlines(redis, "timeout", e.timeout);
    check_claims(redis, e.claims);
    check_agents(redis, requests);
    check_ended(redis, requests);
    json_t *all[] = {containers, requests, is,        e.lists,  e.counts,
                     e.used,     e.expiry, e.timeout, e.claims, settings};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) json_decref(all[i]);
}
