/* A storm: random events of all kinds, doubled, late, out of order, with containers that die, hosts that fall
 * silent and time that jumps. Whatever comes: what Redis holds agrees with itself, every request gets exactly
 * one answer, and no container is leased twice. */
#include "support/limits.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

#define CALLS 1500
#define REQUESTS 20000
#define CONTAINERS 60000
#define BATCH 24
#define POOLS 4

static const char *const pools[POOLS] = {"react", "chain_of_thought", "multi_agent", "tree.of-thought"};
static const char *const tenants[] = {"", "red", "blue"};
static const char *const policies[POOLS] = {"same_tenant", "same_agent", "always", "never"};
#define ALL_OF_IT                                                                                            \
    "{'hot': 1, 'reuses': {'chain_of_thought': 'same_agent', 'multi_agent': 'always', "                      \
    "'tree.of-thought': 'never'}, 'resets': {'multi_agent': true}, 'max_uses_of': {'chain_of_thought': 4}, " \
    "'idle_ttl': 30, 'max_ages': {'react': 60}}"
static const char *const hosts[] = {"h1", "h2"};

enum phase { UNSEEN, ASKED, ASSIGNED, OVER };

struct request {
    enum phase phase;
    int container;
    json_t *answer; /* of the assignment, without its offset */
    struct pool_request asked;
};

struct container {
    char id[80];
    int host, pool, holder; /* request, -1: none */
    bool ready, ending, over;
    const char *step; /* "bound" or "reset": what it was told to become */
    int user;         /* the request that used it last, -1: none */
};

static struct world {
    struct request requests[REQUESTS];
    char names[REQUESTS][16], agents[REQUESTS][16];
    struct container containers[CONTAINERS];
    int asked, made;
    int64_t epoch;
    bool policies;     /* the pools have those of `policies` */
    json_t *continued; /* records of kind 6 that are not yet sent */
    int assigned, rejected, lost, doubled, destroyed, continues, bound;
    int min_idle;
} * world;

static struct pool_slot slot;
static void start(void) {
    world = calloc(1, sizeof *world);
    world->continued = json_array();
    pool_slot_start(&slot);
    slot.unchecked = true;
    pool_settings(&slot, "{'size': 6, 'max_containers': 12, 'lease_ms': 60000, 'timeout_ms': 20000, "
                         "'agents_ttl': 600, 'history_size': 20}");
}
static void stop(void) {
    for (int i = 0; i < REQUESTS; i++) json_decref(world->requests[i].answer);
    json_decref(world->continued);
    free(world);
    pool_slot_stop(&slot);
}
TestSuite(pool_storm, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static int below(int limit) {
    return limit > 0 ? rand() % limit : 0;
}

static int pool_index(const char *name) {
    for (int i = 0; i < POOLS; i++)
        if (strcmp(pools[i], name) == 0) return i;
    cr_assert_fail("philosophy %s", name);
    return -1;
}

static int container_index(const char *id) {
    for (int i = world->made - 1; i >= 0; i--)
        if (strcmp(world->containers[i].id, id) == 0) return i;
    cr_assert_fail("container %s was never created", id);
    return -1;
}

/* ---- what answers mean ---- */

/* Who may have it after whom. */
static void check_isolation(const struct container *c, const struct request *r) {
    if (c->user < 0) return;
    const struct pool_request *before = &world->requests[c->user].asked, *after = &r->asked;
    const char *policy = world->policies ? policies[c->pool] : "same_tenant";
    cr_assert_str_neq(policy, "never", "%s is used again", c->id);
    if (strcmp(policy, "always") != 0) cr_assert_str_eq(before->tenant, after->tenant);
    if (strcmp(policy, "same_agent") == 0) cr_assert_str_eq(before->agent, after->agent);
}

static void on_assigned(struct request *r, int index, size_t i) {
    json_t *copy = json_deep_copy(json_array_get(slot.answer.records, i));
    json_array_remove(copy, 0);
    if (r->phase == ASSIGNED) { /* asked for again */
        cr_assert(json_equal(copy, r->answer), "another answer for %s", world->names[index]);
        json_decref(copy);
        world->doubled++;
        return;
    }
    cr_assert(r->phase == ASKED, "%s has two answers", world->names[index]);
    int at = container_index(record_str(&slot.answer, i, "container_id"));
    struct container *c = &world->containers[at];
    cr_assert_eq(c->holder, -1, "%s is leased twice", c->id);
    cr_assert(c->ready && !c->ending && !c->over, "%s is not there to be leased", c->id);
    check_isolation(c, r);
    if (c->step && strcmp(c->step, "bound") == 0) world->bound++;
    c->step = NULL;
    c->user = index;
    cr_assert_eq(c->pool, pool_index(r->asked.philosophy));
    cr_assert_gt(record_int(&slot.answer, i, "lease_epoch"), world->epoch, "epochs grow");
    cr_assert_geq(record_double(&slot.answer, i, "limits.cpu"), r->asked.cpu);
    cr_assert_geq(record_double(&slot.answer, i, "limits.memory"), r->asked.memory);
    world->epoch = record_int(&slot.answer, i, "lease_epoch");
    c->holder = index;
    r->container = at;
    r->answer = copy;
    r->phase = ASSIGNED;
    world->assigned++;
}

static void on_answer(size_t i) {
    int index = atoi(record_str(&slot.answer, i, "request_id") + 1);
    struct request *r = &world->requests[index];
    const char *status = record_str(&slot.answer, i, "status");
    if (strcmp(status, "assigned") == 0) {
        on_assigned(r, index, i);
    } else if (strcmp(status, "rejected") == 0) {
        cr_assert(r->phase == ASKED, "%s has two answers", world->names[index]);
        r->phase = OVER;
        world->rejected++;
    } else {
        cr_assert_str_eq(status, "lost");
        cr_assert(r->phase == ASSIGNED, "%s had no lease to lose", world->names[index]);
        r->phase = OVER;
        world->containers[r->container].holder = -1;
        world->containers[r->container].ending = true; /* never again anybody's */
        world->lost++;
    }
}

static void on_command(size_t i) {
    const char *id = record_str(&slot.answer, i, "container_id");
    if (strcmp(record_str(&slot.answer, i, "op"), "create") == 0) {
        for (int k = 0; k < world->made; k++) cr_assert_str_neq(world->containers[k].id, id);
        struct container *c = &world->containers[world->made++];
        cr_assert(world->made < CONTAINERS);
        snprintf(c->id, sizeof c->id, "%s", id);
        c->host = record_str(&slot.answer, i, "host")[1] - '1';
        c->pool = pool_index(record_str(&slot.answer, i, "philosophy"));
        c->holder = c->user = -1;
        return;
    }
    struct container *c = &world->containers[container_index(id)];
    const char *op = record_str(&slot.answer, i, "op");
    if (strcmp(op, "destroy") != 0) {
        cr_assert_not(c->ending, "%s is told to %s while it ends", id, op);
        c->step = strcmp(op, "bind") == 0 ? "bound" : strcmp(op, "reset") == 0 ? "reset" : c->step;
        return;
    }
    c->step = NULL;
    cr_assert_eq(c->holder, -1, "%s is destroyed while leased", id);
    c->ending = true;
    world->destroyed++;
}

static void on_record(size_t i) {
    switch (record_kind(&slot.answer, i)) {
    case 1:
        on_answer(i);
        break;
    case 2:
        on_command(i);
        break;
    case 6:
        json_array_append(world->continued, json_array_get(slot.answer.records, i));
        break;
    default:
        break;
    }
}

/* ---- events ---- */

static struct test_events events;
static struct effect {
    enum { NOTHING, ASK, RELEASE, READY, FAILED, OVER_WITH } what;
    int index;
} effects[BATCH];

static void apply(const struct effect *e) {
    struct request *r = &world->requests[e->index];
    if (e->what == ASK && r->phase == UNSEEN) r->phase = ASKED;
    struct container *c = &world->containers[e->index];
    if (e->what == READY) c->ready = true;
    if (e->what == OVER_WITH || (e->what == FAILED && !c->ready)) c->over = true;
    if (e->what != RELEASE) return;
    if (r->phase == ASSIGNED) {
        r->phase = OVER;
        world->containers[r->container].holder = -1;
    }
}

static struct effect add_request(int64_t offset) {
    int index = world->asked && below(4) == 0 ? below(world->asked) : world->asked;
    struct request *r = &world->requests[index];
    if (index == world->asked) {
        cr_assert(++world->asked < REQUESTS);
        int timeouts[] = {0, 0, 0, POOL_ZERO, 3000, 8000}, leases[] = {0, 0, POOL_ZERO, 2000, 15000};
        snprintf(world->names[index], sizeof world->names[index], "r%d", index);
        snprintf(world->agents[index], sizeof world->agents[index], "a%d", below(200));
        r->asked = (struct pool_request){.id = world->names[index],
                                         .agent = below(3) ? world->agents[index] : "",
                                         .philosophy = pools[below(POOLS)],
                                         .tenant = tenants[below(3)],
                                         .invalid = below(60) ? "" : "no good",
                                         .timeout_ms = timeouts[below(6)],
                                         .lease_ms = leases[below(5)],
                                         .claim = below(6) ? "" : "{\"k\":\"v\"}",
                                         .cpu = below(5) ? 0 : 40 + below(40),
                                         .memory = below(5) ? 0 : 200 + below(200)};
        if (below(80) == 0) r->asked.cpu = 1000;
    }
    pool_add_request(&events, offset, &r->asked);
    return (struct effect){ASK, index};
}

static struct effect add_release(int64_t offset) {
    int index = below(10) ? below(world->asked) : world->asked + below(3);
    struct request *r = &world->requests[index];
    char name[16];
    snprintf(name, sizeof name, "r%d", index);
    bool wrong = below(15) == 0, wrong_container = !wrong && below(15) == 0;
    const char *philosophy = r->asked.philosophy ? r->asked.philosophy : "react";
    event_add(&events, offset, "sssb", name, wrong ? "none" : philosophy,
              wrong_container ? "wp-another-1" : "", below(5) != 0);
    /* a wrong container is only looked at when there is a lease */
    return (struct effect){wrong || wrong_container ? NOTHING : RELEASE, index};
}

/* A container for which `wanted` may come, from a random place on; -1: none near. */
static int some_container(bool ending) {
    int at = below(world->made);
    for (int i = 0; i < world->made; i++, at = (at + 1) % world->made)
        if (!world->containers[at].over && world->containers[at].ending == ending) return at;
    return world->made ? below(world->made) : -1;
}

static struct effect add_container_event(int64_t offset, int index, const char *state) {
    struct container *c = &world->containers[index];
    event_add(&events, offset, "ssssss", c->id, pools[c->pool], hosts[c->host], state, "", "a:1");
    if (strcmp(state, "ready") == 0) return (struct effect){READY, index};
    return (struct effect){strcmp(state, "failed") == 0 ? FAILED : OVER_WITH, index};
}

static struct effect add_outdated(int64_t offset, int index) {
    struct container *c = &world->containers[index];
    event_add(&events, offset, "ssssss", c->id, pools[c->pool], hosts[c->host], "outdated", "", "");
    return (struct effect){NOTHING, 0};
}

/* A container that was told to do something; -1: none. */
static int some_step(void) {
    for (int i = world->made > 80 ? world->made - 80 : 0; i < world->made; i++)
        if (world->containers[i].step && !world->containers[i].over && below(2)) return i;
    return -1;
}

/* The number of the bind or reset that is wanted of the container; empty: none is. */
static const char *step_number(const char *id) {
    static char number[32];
    snprintf(number, sizeof number, "%s", pool_wanted(&slot, id, "number"));
    return strcmp(number, "outdated") == 0 ? "" : number;
}

static struct effect add_step_done(int64_t offset, int index) {
    struct container *c = &world->containers[index];
    const char *number = below(8) ? step_number(c->id) : "1";
    event_add(&events, offset, "ssssss", c->id, pools[c->pool], hosts[c->host], c->step, number, "");
    return (struct effect){NOTHING, 0};
}

static int oldest_unready(void) {
    for (int i = world->made > 60 ? world->made - 60 : 0; i < world->made; i++)
        if (!world->containers[i].ready && !world->containers[i].over && below(2)) return i;
    return -1;
}

static struct effect add_host_event(int64_t offset) {
    static const char *const states[] = {"lease_expired", "request_timed_out", "host_up", "host_down",
                                         "lease_expired"};
    const char *host = hosts[below(2)], *state = states[below(5)];
    const char *detail = strcmp(state, "host_down") != 0 ? ""
                         : below(10) == 0                ? "stopping"
                         : below(2)                      ? "away"
                                                         : "";
    event_add(&events, offset, "ssssss", "-", "-", host, state, detail, "");
    return (struct effect){NOTHING, 0};
}

static struct effect add_event(int64_t offset) {
    int dice = below(100), at;
    if (json_array_size(world->continued) && dice < 30) {
        size_t i = (size_t)below((int)json_array_size(world->continued));
        json_t *r = json_array_get(world->continued, i);
        const char *fields[5];
        for (size_t k = 0; k < 5; k++) fields[k] = json_string_value(json_array_get(r, 4 + k));
        event_add(&events, offset, "ssssss", fields[0], fields[1], fields[2], fields[3], fields[4], "");
        if (below(10)) json_array_remove(world->continued, i); /* else it comes again */
        world->continues++;
        return (struct effect){NOTHING, 0};
    }
    if (dice < 45 && (at = some_step()) >= 0) return add_step_done(offset, at);
    if (dice < 60 && (at = oldest_unready()) >= 0)
        return add_container_event(offset, at, below(12) ? "ready" : "failed");
    if (dice < 85 && (at = some_container(true)) >= 0) return add_container_event(offset, at, "gone");
    if (dice < 88 && (at = some_container(false)) >= 0) return add_container_event(offset, at, "died");
    if (dice < 91 && (at = some_container(below(8) == 0)) >= 0) return add_outdated(offset, at);
    if (dice < 95 && world->made) { /* late or doubled */
        at = below(world->made);
        if (world->containers[at].ready) return add_container_event(offset, at, "ready");
    }
    return add_host_event(offset);
}

static struct effect add_control(int64_t offset) {
    static const char *const ops[] = {"pre_warm", "pre_warm", "resize", "rollout", "expire", "drain"};
    const char *op = ops[below(below(3) ? 4 : 6)];
    event_add(&events, offset, "sssi", "", pools[below(POOLS)], op, below(10));
    return (struct effect){NOTHING, 0};
}

static struct effect add_usage(int64_t offset) {
    char id[16], agent[16];
    snprintf(id, sizeof id, "u%d", below(300));
    snprintf(agent, sizeof agent, "a%d", below(200));
    event_add(&events, offset, "sssddd", below(2) ? id : "", agent, pools[below(POOLS)], 20.0 + below(60),
              100.0 + below(200), 1.0);
    return (struct effect){NOTHING, 0};
}

/* ---- a call ---- */

static void send_batch(enum pool_topic topic) {
    struct wp_buf copy = {0};
    uint32_t count = events.count;
    int64_t prev = slot.last[topic];
    wp_buf_add(&copy, events.packed.data, events.packed.len);
    pool_send(&slot, topic, &events);
    if (below(20) == 0) { /* a worker took it over: the very same again */
        wp_buf_add(&events.packed, copy.data, copy.len);
        events.count = count;
        struct test_reply again = pool_call(&slot, topic, prev, 0, &events);
        cr_assert_eq(again.stored.len, slot.answer.stored.len);
        cr_assert(again.stored.len == 0 ||
                  memcmp(again.stored.data, slot.answer.stored.data, again.stored.len) == 0);
        calls_reply_done(&again);
    }
    wp_buf_done(&copy);
    size_t i = 0;
    for (uint32_t k = 0; k < count; k++) {
        apply(&effects[k]);
        for (; i < slot.answer.count && record_int(&slot.answer, i, "offset") == prev + 1 + (int64_t)k; i++)
            on_record(i);
    }
    cr_assert_eq(i, slot.answer.count, "records are in the order of their events");
}

static void random_call(void) {
    static struct effect (*const add[])(int64_t) = {add_request, add_release, add_usage, add_control,
                                                    add_event};
    int dice = below(100);
    enum pool_topic topic = dice < 30   ? POOL_ACQUIRE
                            : dice < 55 ? POOL_RELEASE
                            : dice < 60 ? POOL_USAGE
                            : dice < 64 ? POOL_CONTROL
                                        : POOL_EVENT;
    int count = 1 + below(topic == POOL_CONTROL ? 2 : below(2) ? BATCH : 6);
    for (int i = 0; i < count; i++) effects[i] = add[topic](pool_next(&slot, topic) + i);
    send_batch(topic);
}

static void one_event(const char *container, const char *state) {
    event_add(&events, pool_next(&slot, POOL_EVENT), "ssssss", container, "-", "-", state, "", "a:1");
    send_batch(POOL_EVENT);
}

/* A worker tells of a host that was not known as up, or whose engine is away. */
static void beat_as(const char *host, int capacity, const char *state) {
    bool up = strcmp(state, "up") == 0;
    if (!pool_beat(&slot, host, capacity, 4000, state)) return;
    effects[0] = (struct effect){NOTHING, 0};
    event_add(&events, pool_next(&slot, POOL_EVENT), "ssssss", "-", "-", host, up ? "host_up" : "host_down",
              up ? "" : "away", "");
    send_batch(POOL_EVENT);
}

static void beat(const char *host, int capacity) {
    beat_as(host, capacity, "up");
}

static void send_continues(void) {
    for (int n = 0; json_array_size(world->continued); n++) {
        cr_assert_lt(n, 500, "it asks to be continued for ever");
        json_t *r = json_array_get(world->continued, 0);
        const char *fields[5];
        for (size_t k = 0; k < 5; k++) fields[k] = json_string_value(json_array_get(r, 4 + k));
        event_add(&events, pool_next(&slot, POOL_EVENT), "ssssss", fields[0], fields[1], fields[2], fields[3],
                  fields[4], "");
        json_array_remove(world->continued, 0);
        effects[0] = (struct effect){NOTHING, 0};
        send_batch(POOL_EVENT);
    }
}

/* The engines do what they were told, until there is nothing more to do. */
static void let_it_settle(void) {
    for (int round = 0; round < 200; round++) {
        bool quiet = true;
        send_continues();
        for (int i = 0; i < world->made; i++) {
            struct container *c = &world->containers[i];
            if (c->step && !c->over && !c->ending) {
                const char *step = c->step;
                const char *number = step_number(c->id);
                if (strcmp(step, "reset") == 0) c->step = NULL;
                effects[0] = (struct effect){NOTHING, 0};
                if (*number) {
                    quiet = false;
                    event_add(&events, pool_next(&slot, POOL_EVENT), "ssssss", c->id, "-", "-", step, number,
                              "");
                    send_batch(POOL_EVENT);
                } else {
                    c->step = NULL;
                }
                continue;
            }
            if (c->over || (c->ready && !c->ending)) continue;
            quiet = false;
            effects[0] = (struct effect){c->ending ? OVER_WITH : READY, i};
            one_event(c->id, c->ending ? "gone" : "ready");
        }
        pool_check_restored(&slot.redis, 12);
        if (quiet) return;
    }
    cr_assert_fail("it never settles");
}

/* A worker with this configuration starts: it names each pool. */
static void begin_to_keep_ready(void) {
    pool_settings(&slot, "{'warm_start': true, 'pool_enabled': true}");
    for (int i = 0; i < POOLS; i++) {
        effects[0] = (struct effect){NOTHING, 0};
        event_add(&events, pool_next(&slot, POOL_CONTROL), "sssi", "", pools[i], "pre_warm", 0);
        send_batch(POOL_CONTROL);
    }
}

/* Leases without an end may still have outdated ones. */
static void expect_none_idles_outdated(void) {
    redisReply *keys = test_redis_command(&slot.redis, "KEYS wp:{pool}:outdated:*");
    cr_assert_eq(keys->elements, 0, "%s", keys->elements ? keys->element[0]->str : "");
    freeReplyObject(keys);
}

static void expect_all_ends_well(void) {
    if (world->min_idle > 0) begin_to_keep_ready();
    for (int i = 0; i < 2; i++) beat(hosts[i], 14);
    effects[0] = (struct effect){NOTHING, 0};
    one_event("-", "host_up");
    let_it_settle();
    pool_check(&slot.redis);
    for (int i = 0; i < 60; i++) { /* timeouts and leases run out */
        pool_advance_time(&slot, 2);
        for (int k = 0; k < 2; k++) beat(hosts[k], 14);
        effects[0] = (struct effect){NOTHING, 0};
        one_event("-", "lease_expired");
        let_it_settle();
    }
    pool_check(&slot.redis);
    pool_check_ready(&slot.redis, world->min_idle);
    cr_assert_eq(pool_stat(&slot, NULL, "waiting"), 0);
    if (world->min_idle > 0) expect_none_idles_outdated();
    for (int i = 0; i < world->asked; i++)
        cr_assert(world->requests[i].phase != ASKED, "%s has no answer", world->names[i]);
    for (int i = 0; i < POOLS; i++) {
        pool_control(&slot, pools[i], "drain", -1);
        pool_check(&slot.redis);
    }
}

static void sweep(void) {
    char *settings = json_dumps(slot.settings, 0);
    calls_sweep(&slot.redis, WP_SLOT_POOL, settings);
    free(settings);
}

static void storm(unsigned seed, int calls) {
    srand(seed);
    for (int call = 0; call < calls; call++) {
        if (below(8) == 0) pool_advance_time(&slot, below(30) ? below(3) : 20);
        if (call % 10 == 0 || below(5)) beat("h1", 14);
        int turn = call % 200; /* of h2: its engine goes away, later it is silent */
        if (turn == 150) pool_beat(&slot, "h2", 12, 4000, "draining"); /* "stopping" may come later */
        if (turn < 150) beat_as("h2", 12, turn >= 100 && turn < 120 ? "away" : "up");
        if (call % 100 == 99) { /* somebody changes the configuration */
            pool_settings(&slot, below(4) ? "{'warm_start': true}" : "{'warm_start': false}");
            pool_settings(&slot, below(5) ? "{'pool_enabled': true}" : "{'pool_enabled': false}");
        }
        random_call();
        if (call % 50 == 0) pool_check(&slot.redis);
        if (call % 20 == 0) {
            send_continues();
            pool_check_restored(&slot.redis, 12);
        }
        if (call % 300 == 299) sweep();
    }
    expect_all_ends_well();
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:meta repaired"), 0,
                 "nothing had to be put right");
    cr_log_info("assigned %d rejected %d lost %d doubled %d destroyed %d made %d continues %d",
                world->assigned, world->rejected, world->lost, world->doubled, world->destroyed, world->made,
                world->continues);
    cr_assert(world->assigned > 300 && world->rejected > 100 && world->lost > 20 && world->doubled > 10,
              "the storm was too tame: assigned %d rejected %d lost %d doubled %d", world->assigned,
              world->rejected, world->lost, world->doubled);
}

Test(pool_storm, everything_agrees) {
    storm(1, CALLS);
}
Test(pool_storm, another_seed) {
    storm(2, CALLS);
}
Test(pool_storm, and_another) {
    storm(3, CALLS);
}
Test(pool_storm, with_policies_pauses_resets_and_ages) {
    pool_settings(&slot, ALL_OF_IT);
    world->policies = true;
    storm(4, CALLS);
    cr_assert_gt(world->bound, 50, "only %d were bound", world->bound);
}
Test(pool_storm, with_all_of_it_and_another_seed) {
    pool_settings(&slot, ALL_OF_IT);
    world->policies = true;
    storm(5, CALLS);
    cr_assert_gt(world->bound, 50, "only %d were bound", world->bound);
}
/* Four pools, whose reserves the hosts have room for. */
Test(pool_storm, with_containers_that_are_kept_ready) {
    pool_settings(&slot, "{'min_idle': 2}");
    world->min_idle = 2;
    storm(6, CALLS);
}
Test(pool_storm, with_limits_of_tenants) {
    pool_settings(&slot, ALL_OF_IT);
    pool_settings(&slot, "{'tenant_max_leases': 9, 'tenant_max_waiting': 5, 'tenant_max_creating': 2, "
                         "'tenant_weights': {'red': 3}}");
    world->policies = true;
    storm(8, CALLS);
}
Test(pool_storm, with_all_of_it_and_containers_that_are_kept_ready) {
    pool_settings(&slot, ALL_OF_IT);
    pool_settings(&slot, "{'min_idle': 2, 'refill_rate': 5}");
    world->policies = true;
    world->min_idle = 2;
    storm(7, CALLS);
}
