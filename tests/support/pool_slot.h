/* The {pool} slot of a test's own Redis, with one event a call: what the tests of pools and predictions are
 * written in. */
#ifndef TEST_SUPPORT_POOL_SLOT_H
#define TEST_SUPPORT_POOL_SLOT_H
#include "support/calls.h"

enum pool_topic { POOL_ACQUIRE, POOL_RELEASE, POOL_USAGE, POOL_CONTROL, POOL_EVENT, POOL_TOPICS };

extern const char pool_default_settings[]; /* as JSON, with ' for " */

struct pool_slot {
    struct test_redis redis;
    json_t *settings;           /* owned */
    int64_t last[POOL_TOPICS];  /* offsets sent last, -1 at first */
    struct test_reply answer;   /* of the last call */
    bool unchecked;             /* no pool_check after each call: for large tests */
    char text[POOL_TOPICS][96]; /* strings that a helper gave */
};

void pool_slot_start(struct pool_slot *slot); /* with the defaults of the configuration */
void pool_slot_start_with(struct pool_slot *slot, const struct test_redis_options *options);
void pool_slot_stop(struct pool_slot *slot);
/* Settings to change, as JSON, ' may stand for ". */
void pool_settings(struct pool_slot *slot, const char *changes);
void pool_host(struct pool_slot *slot, const char *name, int capacity, int memory_mb); /* a heartbeat */
int64_t pool_beat(struct pool_slot *slot, const char *name, int capacity, int memory_mb, const char *state);
int64_t pool_beat_with(struct pool_slot *slot, const char *name, const char *map); /* as JSON, ' for " */
void pool_advance_time(struct pool_slot *slot, double seconds);

/* Sends the events, whose offsets begin at pool_next, in one call that must apply them all. */
int64_t pool_next(const struct pool_slot *slot, enum pool_topic topic);
void pool_send(struct pool_slot *slot, enum pool_topic topic, struct test_events *events);
struct test_reply pool_call(struct pool_slot *slot, enum pool_topic topic, int64_t prev, int64_t floor,
                            struct test_events *events);
const char *pool_function(enum pool_topic topic);
const char *pool_partition(enum pool_topic topic);

/* ---- one event, one call; the answer stays in slot->answer ---- */

/* A number not given is absent; POOL_ZERO is 0. */
#define POOL_ZERO -1
struct pool_request {
    const char *id, *agent, *philosophy, *tenant, *invalid, *claim; /* NULL: "", philosophy: "react" */
    int timeout_ms, lease_ms;
    double cpu, memory;
    int64_t age_ms; /* since the broker appended it, 0: not known */
};
void pool_add_request(struct test_events *events, int64_t offset, const struct pool_request *request);
/* What the call answered about that request: "assigned", "rejected", or "" (nothing). */
const char *pool_acquire_request(struct pool_slot *slot, const struct pool_request *request);
#define pool_acquire(slot, ...) pool_acquire_request(slot, &(struct pool_request){__VA_ARGS__})

void pool_release(struct pool_slot *slot, const char *id); /* of a react, any container, to be used again */
void pool_release_as(struct pool_slot *slot, const char *id, const char *philosophy, const char *container,
                     bool reuse);
void pool_control(struct pool_slot *slot, const char *philosophy, const char *op, int count); /* -1: none */
void pool_usage(struct pool_slot *slot, const char *philosophy, double cpu, double memory, double time);
void pool_event(struct pool_slot *slot, const char *container, const char *state, const char *detail);
void pool_host_event(struct pool_slot *slot, const char *host, const char *state, const char *detail);
void pool_sweep_due(struct pool_slot *slot); /* one lease_expired, and what it asks to be continued */
/* Acquires r<from> and on, in one call. */
void pool_acquire_many(struct pool_slot *slot, int from, int count, const char *philosophy);

/* Makes `count` idle containers of that philosophy: pre_warm and ready. */
void pool_warm(struct pool_slot *slot, const char *philosophy, int count);
/* Tells ready of all containers that the last call created. */
void pool_ready_created(struct pool_slot *slot);
/* Calls again as long as the function asks for it; how often. All records of kind 1 and 2 are counted. */
struct pool_followed {
    int calls;
    size_t assignments, commands;
};
struct pool_followed pool_follow(struct pool_slot *slot);

/* ---- what was answered and what is ---- */

/* The index of the last answer about that request in slot->answer; -1: none. */
int pool_answer_of(const struct pool_slot *slot, const char *id);
const char *pool_answer_str(const struct pool_slot *slot, const char *id, const char *field);
/* The first word of why it was rejected or lost: up to a colon, behind which the rest is for people. Valid
 * until the next call of it. */
const char *pool_reason(struct pool_slot *slot, const char *id);
double pool_answer_number(const struct pool_slot *slot, const char *id, const char *field);
/* The containers of the nth command of that kind ("create", "destroy"); "" when there is none. */
const char *pool_commanded(const struct pool_slot *slot, const char *op, size_t nth);
size_t pool_commands(const struct pool_slot *slot, const char *op);
/* Of wp_pool_stats: of a philosophy, or NULL for the total. */
double pool_stat(struct pool_slot *slot, const char *philosophy, const char *name);
double pool_host_stat(struct pool_slot *slot, const char *host, const char *name);
/* What a container is: creating, idle, paused, binding, leased, resetting, ending or "". Valid until the next
 * call of it. */
const char *pool_state(struct pool_slot *slot, const char *container);
/* Field `name` of what its host is told of it: number (of a binding or reset) or claim. The same validity. */
const char *pool_wanted(struct pool_slot *slot, const char *container, const char *name);
/* Its host says that it has done what it was told: bound or reset. */
void pool_done(struct pool_slot *slot, const char *container, const char *state);
/* Of wp_predict; name may have one dot ("requirements.cpu_percent"). */
double pool_predicted(struct pool_slot *slot, const char *philosophy, const char *name);

#endif
