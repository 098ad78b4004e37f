/* Owns the check that all that the {pool} slot holds agrees: what the functions count and list, computed
 * again from the rows of containers and requests (their fields: redis/state.lua). */
#include "support/pool_check.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/calls.h"

#define ROOT "wp:{pool}:"

enum container_field { C_STATE, C_POOL, C_HOST, C_MEMORY, C_REUSE, C_REQUEST, C_TENANT, C_OUTDATED };
enum waiting_field { W_STATE, W_POOL, W_AGENT, W_TENANT, W_CONTAINER = 5, W_CLAIM = 15 };
enum leased_field { L_KIND, L_AGENT, L_TENANT, L_POOL, L_CONTAINER, L_EXPIRES };
enum pool_field {
    P_IDLE,
    P_LEASED,
    P_CREATING,
    P_ENDING,
    P_WAITING,
    P_SIZE = 10,
    P_DRAINING,
    P_RETRY_AT = 13,
    P_RESETTING = 18,
    P_PAUSED,
    P_STALE = 23,
    P_FRESH,
    P_USERS,
    P_HELD = 29,
    P_OUTDATED,
    P_OUTDATED_IDLE,
    P_AWAY = 33
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

/* A part of a row of redis/rows.lua whose length stands before it in `bytes` bytes; moves *at behind it. */
static struct wp_str part(const redisReply *row, size_t *at, int bytes) {
    size_t len = 0;
    for (int i = 0; i < bytes; i++) len = len << 8 | (unsigned char)row->str[(*at)++];
    struct wp_str ret = {row->str + *at, len};
    *at += len;
    cr_assert(*at <= row->len, "a row is cut off");
    return ret;
}

static json_t *json_text(struct wp_str value) {
    return json_stringn_nocheck(value.ptr, value.len);
}

/* philosophy, host, memory, the tenant that it is made for, whether it is outdated */
static json_t *static_row(const redisReply *row) {
    size_t at = 0;
    (void)part(row, &at, 2); /* the address */
    struct wp_str common = part(row, &at, 2);
    json_t *values = calls_unpack_all(common.ptr, common.len);
    const char *tenant = json_string_value(json_array_get(values, 5));
    json_t *ret = json_pack("[O O O s b]", json_array_get(values, 4), json_array_get(values, 0),
                            json_array_get(values, 2), tenant ? tenant : "", at < row->len);
    json_decref(values);
    return ret;
}

enum { NUMBER = 16 }; /* digits of an idle spell's number */

/* What containers are, from both of their hashes. */
static json_t *container_rows(struct test_redis *redis) {
    json_t *all = json_object();
    redisReply *reply = test_redis_command(redis, "HGETALL " ROOT "is");
    cr_assert_eq(test_redis_int(redis, "HLEN " ROOT "c"), (int64_t)reply->elements / 2);
    for (size_t i = 0; i < reply->elements; i += 2) {
        const char *id = reply->element[i]->str, *is = reply->element[i + 1]->str;
        char what = *is == '\n' ? is[1] : 'l';
        const char *state = what == 'c'   ? "creating"
                            : what == 'i' ? "idle"
                            : what == 'l' ? "leased"
                            : what == 'r' ? "resetting"
                            : what == 'a' ? "away"
                                          : "ending";
        redisReply *row = test_redis_command(redis, "HGET " ROOT "c %s", id);
        cr_assert(row->type == REDIS_REPLY_STRING, "%s has no limits", id);
        json_t *rest = static_row(row);
        json_object_set_new_nocheck(all, id,
                                    json_pack("[s O O O s s O O]", state, json_array_get(rest, 0),
                                              json_array_get(rest, 1), json_array_get(rest, 2),
                                              what == 'i' ? is + 2 + NUMBER : "", what == 'l' ? is : "",
                                              json_array_get(rest, 3), json_array_get(rest, 4)));
        json_decref(rest);
        freeReplyObject(row);
    }
    freeReplyObject(reply);
    return all;
}

static const char *text(const json_t *row, size_t field) {
    return json_string_value(json_array_get(row, field));
}

/* kind, agent, tenant, philosophy, container, when it expires */
static json_t *lease_row(const redisReply *row) {
    size_t at = 2;
    struct wp_str whose = part(row, &at, 1), container = part(row, &at, 2), agent = part(row, &at, 2);
    (void)part(row, &at, 2); /* the keys */
    at += 7 + 6;             /* epoch and startup */
    const char *space = memchr(whose.ptr, ' ', whose.len);
    struct wp_str name = {whose.ptr, (size_t)(space - whose.ptr)};
    struct wp_str tenant = {space + 1, whose.len - name.len - 1};
    json_t *rest = calls_unpack_all(row->str + at, row->len - at);
    json_t *ret = json_pack("[i o o o o O]", 1, json_text(agent), json_text(tenant), json_text(name),
                            json_text(container), json_array_get(rest, 0));
    json_decref(rest);
    return ret;
}

static json_t *request_rows(struct test_redis *redis) {
    json_t *all = json_object();
    redisReply *reply = test_redis_command(redis, "HGETALL " ROOT "req");
    for (size_t i = 0; i < reply->elements; i += 2) {
        const redisReply *row = reply->element[i + 1];
        json_object_set_new_nocheck(all, reply->element[i]->str,
                                    row->str[0] == 'l' ? lease_row(row)
                                                       : calls_unpack_all(row->str, row->len));
    }
    freeReplyObject(reply);
    return all;
}

/* Of a request. */
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

/* Those of an idle list's entries that are not stale; the others are counted for its pool. */
static json_t *idle_entries(struct test_redis *redis, const char *key, json_t *stale) {
    const char *name = key + strlen(ROOT "idle:"), *reuse = strchr(name, ':') + 1;
    char pool[100];
    snprintf(pool, sizeof pool, "%.*s", (int)(reuse - 1 - name), name);
    json_t *members = json_object();
    redisReply *list = test_redis_command(redis, "LRANGE %s 0 -1", key);
    json_int_t left = json_integer_value(json_object_get(stale, pool));
    for (size_t i = 0; i < list->elements; i++) {
        const char *entry = list->element[i]->str, *id = entry + NUMBER + 1;
        redisReply *is = test_redis_command(redis, "HGET " ROOT "is %s", id);
        bool live = is->type == REDIS_REPLY_STRING && strncmp(is->str, "\ni", 2) == 0 &&
                    strncmp(is->str + 2, entry, NUMBER) == 0 && strcmp(is->str + 2 + NUMBER, reuse) == 0;
        if (!live) left++;
        if (live) cr_assert_not(json_object_get(members, id), "%s stands in %s twice", id, key);
        if (live) json_object_set_new_nocheck(members, id, json_true());
        freeReplyObject(is);
    }
    json_object_set_new_nocheck(stale, pool, json_integer(left));
    freeReplyObject(list);
    return members;
}

static json_t *sorted_set(struct test_redis *redis, const char *key) {
    json_t *members = json_object();
    redisReply *list = test_redis_command(redis, "ZRANGE %s 0 -1", key);
    for (size_t i = 0; i < list->elements; i++)
        json_object_set_new_nocheck(members, list->element[i]->str, json_true());
    freeReplyObject(list);
    return members;
}

/* The reuse keys of a pool's idle lists; a list may have stale entries alone, then it does not count. */
static json_t *idle_keys(struct test_redis *redis, const char *key, const json_t *lists) {
    json_t *members = sorted_set(redis, key), *one;
    const char *reuse;
    void *next;
    json_object_foreach_safe(members, next, reuse, one) {
        char *list = wp_format("%s:%s", key, reuse);
        cr_assert_eq(test_redis_int(redis, "EXISTS %s", list), 1, "%s has no list", list);
        if (!json_object_get(lists, list)) json_object_del(members, reuse);
        free(list);
    }
    return members;
}

/* All lists and sorted sets of these prefixes: key -> {member: true}. ret_stale: pool -> stale entries. */
static json_t *listed(struct test_redis *redis, json_t **ret_stale) {
    static const char *const patterns[] = {"idle:*:*", "idle:*", "wait:*", "hc:*", "turn:*", "outdated:*"};
    json_t *all = json_object();
    *ret_stale = json_object();
    for (size_t n = 0; n < sizeof patterns / sizeof patterns[0]; n++) {
        redisReply *keys = test_redis_command(redis, "KEYS " ROOT "%s", patterns[n]);
        for (size_t i = 0; i < keys->elements; i++) {
            const char *key = keys->element[i]->str;
            if (n == 1 && strchr(key + strlen(ROOT "idle:"), ':')) continue;
            json_t *members = n == 0   ? idle_entries(redis, key, *ret_stale)
                              : n == 1 ? idle_keys(redis, key, all)
                                       : sorted_set(redis, key);
            if (json_object_size(members) > 0)
                json_object_set_new(all, key, members);
            else
                json_decref(members);
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
    json_t *tenants;          /* leases, waiting or creating -> {tenant: count} */
    json_t *making;           /* pool -> {tenant: count} */
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

static void add_making(struct expected *e, const char *pool, const char *tenant) {
    add(e->tenants, "creating", tenant, 1);
    add(e->making, pool, tenant, 1);
}

static bool is_fresh(const char *reuse) { /* paused or not */
    return strcmp(reuse + (reuse[0] == '\t'), "!") == 0;
}

static void expect_outdated(struct expected *e, const char *id, const json_t *c) {
    if (!json_is_true(json_array_get(c, C_OUTDATED)) || strcmp(text(c, C_STATE), "ending") == 0) return;
    add(e->counts, text(c, C_POOL), "outdated", 1);
    if (strcmp(text(c, C_STATE), "idle") != 0) return;
    add(e->counts, text(c, C_POOL), "outdated_idle", 1);
    put(e->lists, "outdated", text(c, C_POOL), NULL, id);
}

static void expect_containers(struct expected *e, json_t *containers, json_t *requests) {
    const char *id;
    json_t *c;
    json_object_foreach(containers, id, c) {
        const char *state = text(c, C_STATE), *pool = text(c, C_POOL), *host = text(c, C_HOST);
        add(e->counts, pool, state, 1);
        expect_outdated(e, id, c);
        add(e->used, host, "count", 1);
        add(e->used, host, "memory", (json_int_t)ceil(json_number_value(json_array_get(c, C_MEMORY))));
        if (strcmp(state, "ending") == 0) add(e->used, host, "ending", 1);
        put(e->lists, "hc", host, NULL, id);
        if (text(c, C_TENANT)[0] && strcmp(state, "creating") == 0) add_making(e, pool, text(c, C_TENANT));
        if (strcmp(state, "idle") == 0 && text(c, C_REUSE)[0] == '\t') add(e->counts, pool, "paused", 1);
        if (strcmp(state, "idle") == 0 && is_fresh(text(c, C_REUSE))) add(e->counts, pool, "fresh", 1);
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

/* Of a request that waits, by its tenant, and by its agent or for all if pool.reuse has it so. */
static void expect_waiting(struct expected *e, const char *id, const json_t *r, const json_t *settings) {
    const char *pool = text(r, W_POOL), *key = text(r, W_TENANT);
    const char *policy = json_string_value(json_object_get(json_object_get(settings, "reuses"), pool));
    char agent[400];
    if (!policy) policy = json_string_value(json_object_get(settings, "reuse"));
    snprintf(agent, sizeof agent, "@%s/%s", text(r, W_TENANT), text(r, W_AGENT));
    if (strcmp(policy, "same_agent") == 0) key = agent;
    if (strcmp(policy, "always") == 0) key = "*";
    if (strcmp(policy, "never") == 0) key = "!";
    add(e->counts, pool, "waiting", 1);
    add(e->tenants, "waiting", text(r, W_TENANT), 1);
    put(e->lists, "wait", pool, NULL, id);
    put(e->lists, "wait", pool, text(r, W_TENANT), id);
    put(e->lists, "wait", pool, key, id);
    put(e->lists, "turn", pool, NULL, text(r, W_TENANT));
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
            add(e->tenants, "leases", text(r, L_TENANT), 1);
        } else if (strcmp(text(r, 0), "w") == 0) {
            expect_waiting(e, id, r, settings);
            json_object_set_new_nocheck(e->timeout, id, json_true());
        } else if (is_bound(r)) {
            json_t *c = json_object_get(containers, text(r, W_CONTAINER));
            cr_assert(c, "%s is to get %s, which is not there", id, text(r, W_CONTAINER));
            cr_assert_str_eq(text(c, C_REQUEST), id);
            json_object_set_new_nocheck(e->timeout, id, json_true());
            add(e->tenants, "leases", text(r, W_TENANT), 1);
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

static void check_pools(struct test_redis *redis, const struct expected *e, const json_t *stale) {
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
        cr_assert_eq(number(p, P_AWAY), json_integer_value(json_object_get(counts, "away")),
                     "set aside of %s: %lld", name, (long long)number(p, P_AWAY));
        cr_assert_eq(number(p, P_PAUSED), json_integer_value(json_object_get(counts, "paused")),
                     "paused of %s: %lld", name, (long long)number(p, P_PAUSED));
        cr_assert_eq(number(p, P_FRESH), json_integer_value(json_object_get(counts, "fresh")),
                     "unused ones of %s: %lld", name, (long long)number(p, P_FRESH));
        cr_assert_eq(number(p, P_OUTDATED), json_integer_value(json_object_get(counts, "outdated")),
                     "outdated ones of %s: %lld", name, (long long)number(p, P_OUTDATED));
        cr_assert_eq(number(p, P_OUTDATED_IDLE), json_integer_value(json_object_get(counts, "outdated_idle")),
                     "idle outdated ones of %s: %lld", name, (long long)number(p, P_OUTDATED_IDLE));
        cr_assert_eq(number(p, P_STALE), json_integer_value(json_object_get(stale, name)),
                     "stale entries of %s: %lld, should be %lld", name, (long long)number(p, P_STALE),
                     (long long)json_integer_value(json_object_get(stale, name)));
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

static json_int_t limit_of(const json_t *settings, const char *kind, const char *tenant) {
    char name[64];
    snprintf(name, sizeof name, "tenant_max_%s_of", kind);
    json_t *own = json_object_get(json_object_get(settings, name), tenant);
    name[strlen(name) - 3] = '\0';
    return json_integer_value(own ? own : json_object_get(settings, name));
}

/* Containers that are being made are counted by pool and tenant. */
static void check_making(struct test_redis *redis, const json_t *should) {
    redisReply *keys = test_redis_command(redis, "KEYS " ROOT "making:*");
    cr_assert_eq(keys->elements, json_object_size(should));
    for (size_t i = 0; i < keys->elements; i++) {
        json_t *is = json_object();
        redisReply *reply = test_redis_command(redis, "HGETALL %s", keys->element[i]->str);
        for (size_t k = 0; k < reply->elements; k += 2)
            json_object_set_new_nocheck(is, reply->element[k]->str,
                                        json_integer(atoll(reply->element[k + 1]->str)));
        same(is, json_object_get(should, keys->element[i]->str + strlen(ROOT "making:")), "making");
        freeReplyObject(reply);
        json_decref(is);
    }
    freeReplyObject(keys);
}

/* What tenants have is counted, and is not above their limits. */
static void check_tenants(struct test_redis *redis, json_t *should, const json_t *settings) {
    static const char *const kinds[] = {"leases", "waiting", "creating"};
    for (size_t i = 0; i < 3; i++) {
        json_t *is = json_object(), *none = json_object(), *of = json_object_get(should, kinds[i]);
        redisReply *reply = test_redis_command(redis, "HGETALL " ROOT "tenant:%s", kinds[i]);
        for (size_t k = 0; k < reply->elements; k += 2) {
            json_int_t count = atoll(reply->element[k + 1]->str),
                       most = limit_of(settings, kinds[i], reply->element[k]->str);
            json_object_set_new_nocheck(is, reply->element[k]->str, json_integer(count));
            if (most > 0 && i != 1) cr_assert_leq(count, most, "%s of %s", kinds[i], reply->element[k]->str);
        }
        same(is, of ? of : none, kinds[i]);
        freeReplyObject(reply);
        json_decref(is);
        json_decref(none);
    }
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
        if (json_is_true(json_array_get(p, P_HELD)))
            continue; /* their tenants have all the creates allowed */
        cr_assert(number(p, P_WAITING) <= number(p, P_CREATING) || total >= max_containers,
                  "in %s %lld wait, %lld are created, and there is room", name,
                  (long long)number(p, P_WAITING), (long long)number(p, P_CREATING));
    }
    json_decref(pools);
    json_decref(hosts);
}

void pool_check_ready(struct test_redis *redis, int count) {
    json_t *pools = rows(redis, "pools"), *p;
    const char *name;
    json_object_foreach(pools, name, p) {
        bool shared = strcmp(text(p, P_USERS), "\n") == 0;
        json_int_t ready = number(p, shared ? P_FRESH : P_IDLE), size = number(p, P_SIZE);
        if (json_is_true(json_array_get(p, P_DRAINING))) continue;
        cr_assert_geq(ready, size >= 0 && size < count ? size : count, "%s has only %lld ready", name,
                      (long long)ready);
    }
    json_decref(pools);
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
    json_t *containers = container_rows(redis), *requests = request_rows(redis);
    json_t *stale, *is = listed(redis, &stale);
    struct expected e = {json_object(), json_object(), json_object(), json_object(),
                         json_object(), json_object(), json_object(), json_object()};
    expect_containers(&e, containers, requests);
    expect_requests(&e, containers, requests, settings);
    same(is, e.lists, "lists");
    check_pools(redis, &e, stale);
    check_hosts(redis, &e);
    check_deadlines(redis, "expiry", e.expiry);
    check_deadlines(redis, "timeout", e.timeout);
    check_claims(redis, e.claims);
    check_tenants(redis, e.tenants, settings);
    check_making(redis, e.making);
    check_agents(redis, requests);
    check_ended(redis, requests);
    json_t *all[] = {containers, requests, is,       e.lists, e.counts,  e.used,  e.expiry,
                     e.timeout,  e.claims, settings, stale,   e.tenants, e.making};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) json_decref(all[i]);
}
