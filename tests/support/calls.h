/* Calls the Redis functions as a worker does, and reads their answers, for tests.
 *
 *     struct test_redis redis;
 *     test_redis_start(&redis);
 *     calls_load(&redis, WP_SLOT_CACHE);
 *     struct test_events events = {0};
 *     event_add_cache(&events, 7, "ssssb--", "e1", "get", "tool", "calculator", false);
 *     struct test_reply reply = calls_topic(&redis, "cache", "c/cache/0", 6, 0, "{'enabled': true, ...}",
 * &events); cr_assert_str_eq(record_str(&reply, 0, "value"), "..."); calls_reply_done(&reply);
 *
 * A failure of Redis or of the function fails the test, unless the call is calls_topic_fails or _error. */
#ifndef TEST_SUPPORT_CALLS_H
#define TEST_SUPPORT_CALLS_H
#include <jansson.h>
#include "core/pack.h"
#include "store/library.h"
#include "support/redis.h"

/* Loads the slot's libraries, in place of older ones. */
void calls_load(struct test_redis *redis, enum wp_slot slot);
/* "wp:{pool}" or "wp:{cache}". */
const char *calls_root(enum wp_slot slot);

/* ---- events: emptied by the call that takes them ---- */

struct test_events {
    struct wp_buf packed;
    uint32_t count;
};

/* One event: its offset, then a value for each letter of `format`, in the order of redis/README.md: s = const
 * char *, B = struct wp_str (any bytes), i = int, l = int64_t, d = double, b = bool (an int), - = absent,
 * takes no value (false). */
void event_add(struct test_events *events, int64_t offset, const char *format, ...);
/* An event of the cache: its key is "key-<offset>", its trace "trace-<offset>", then the values. */
void event_add_cache(struct test_events *events, int64_t offset, const char *format, ...);
/* The head of one alone, for a test that packs `fields` values itself, into events->packed. */
void event_begin_cache(struct test_events *events, int64_t offset, uint32_t fields);

/* The batch that the function takes. */
void calls_pack_events(struct wp_buf *out, const char *function, struct test_events *events);

/* ---- settings ---- */

/* Says the slot's settings (JSON, ' may stand for "), unless those that were said last over this connection
 * are the same. */
void calls_settings(redisContext *connection, enum wp_slot slot, const char *settings);

/* ---- topic functions ---- */

/* As many results as a slot that sends one call after the other leaves unfinished: the functions bound them.
 */
enum { RESULTS_KEPT = 200 };

struct test_reply {
    int64_t status, applied, floor; /* status 0: a gap */
    size_t count;
    json_t *records;      /* owned: an array of arrays, as redis/README.md has them */
    struct wp_buf stored; /* the bytes of the results, to compare a repeated one */
};

/* `settings` is JSON, ' may stand for ". `function` is a base name ("acquire"). A partition that the slot
 * does not know begins at `floor`. */
struct test_reply calls_topic(struct test_redis *redis, const char *function, const char *partition,
                              int64_t prev, int64_t floor, const char *settings, struct test_events *events);
/* The same on another connection (a user with fewer rights, say). */
struct test_reply calls_topic_on(redisContext *connection, const char *function, const char *partition,
                                 int64_t prev, int64_t floor, const char *settings,
                                 struct test_events *events);
/* For a call that may fail: its error, freed by the caller, or NULL. */
char *calls_topic_error(struct test_redis *redis, const char *function, const char *partition, int64_t prev,
                        int64_t floor, const char *settings, struct test_events *events);
/* For a call that must fail: the same. */
char *calls_topic_fails(struct test_redis *redis, const char *function, const char *partition, int64_t prev,
                        int64_t floor, const char *settings, struct test_events *events);
void calls_reply_done(struct test_reply *reply);

/* ---- records ----
 * `field` is a name of redis/README.md: "offset", "kind", "key" (the record's key; an entry's key is
 * "cache_key"), "trace", or of the record's kind. Parts are reached by dots: "limits.memory",
 * "prediction.confidence", "prediction.requirements.cpu". */
json_t *record_value(const struct test_reply *reply, size_t i,
                     const char *field); /* borrowed; fails the test when there is none */
const char *record_str(const struct test_reply *reply, size_t i, const char *field); /* "" for false */
int64_t record_int(const struct test_reply *reply, size_t i, const char *field);
double record_double(const struct test_reply *reply, size_t i, const char *field);
bool record_bool(const struct test_reply *reply, size_t i, const char *field);
bool record_absent(const struct test_reply *reply, size_t i, const char *field); /* is it false? */
int64_t record_kind(const struct test_reply *reply, size_t i);
size_t record_count(const struct test_reply *reply, int64_t kind);
/* The index of the nth (from 0) record of that kind; fails the test when there are not so many. */
size_t record_find(const struct test_reply *reply, int64_t kind, size_t nth);

/* ---- other functions ---- */

/* A function of functions.h by its base name, with these arguments (strings up to a NULL). freeReplyObject is
 * the caller's. */
redisReply *calls_function(struct test_redis *redis, enum wp_slot slot, const char *base, ...)
    __attribute__((sentinel));
/* Settings that Redis has forgotten are said again. */
redisReply *calls_function_on(redisContext *connection, enum wp_slot slot, const char *base,
                              const struct wp_str *args, size_t count);
/* The sweep of a slot. */
int64_t calls_sweep(struct test_redis *redis, enum wp_slot slot, const char *settings);
/* A public function ("cache_stats", "wp_cache_stats") with these arguments (strings up to a NULL);
 * json_decref is the caller's. */
json_t *calls_public(struct test_redis *redis, const char *name, ...) __attribute__((sentinel));
/* A number inside: json_number_at(stats, "namespaces", "tool", "hits", NULL); fails the test when there is
 * none. */
double json_number_at(const json_t *value, ...) __attribute__((sentinel));
/* A MessagePack answer ("desired", "owned") as JSON; json_decref is the caller's. */
json_t *calls_unpack(const redisReply *reply);
/* MessagePack values one after the other, as rows in Redis are, as an array. */
json_t *calls_unpack_all(const char *bytes, size_t len);
/* Settings as JSON to MessagePack. */
void calls_pack_json(struct wp_buf *out, const char *text);

/* The slot's time goes on from what was seen, so a test moves it forward by writing that. */
void calls_advance_time(struct test_redis *redis, enum wp_slot slot, double seconds);
/* The slot's time in us: what a function called now would see, or a little less. */
int64_t calls_now(struct test_redis *redis, enum wp_slot slot);

#endif
