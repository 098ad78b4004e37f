/* The {cache} slot of a test's own Redis, with one event a call: what the cache tests are written in. */
#ifndef TEST_SUPPORT_CACHE_SLOT_H
#define TEST_SUPPORT_CACHE_SLOT_H
#include "support/calls.h"

#define CACHE_SETTINGS(max_entries)                                                                          \
    "{'enabled': true, 'max_entries': " #max_entries ", 'max_bytes': 268435456, 'max_value_bytes': 524288, " \
    "'default_ttl': 300, 'ttl': {'tool': 600, 'pattern': 300}}"
#define CACHE_PARTITION "c/cache/0"
#define NO_TTL -1

struct cache_slot {
    struct test_redis redis;
    const char *settings;     /* may be changed between calls */
    int64_t last;             /* offset sent last, -1 at first */
    struct test_reply answer; /* of the last call */
};

void cache_slot_start(struct cache_slot *slot, const char *settings);
void cache_slot_stop(struct cache_slot *slot);

/* The next event, not sent yet. ttl: NO_TTL for none. */
void cache_add(struct cache_slot *slot, struct test_events *events, const char *op, const char *ns,
               const char *key, const char *value, int ttl, int count);
/* Sends the events as one call that must apply them all; the answers are in slot->answer, one an event. */
void cache_send(struct cache_slot *slot, struct test_events *events);

/* One event, one call. */
bool cache_set(struct cache_slot *slot, const char *ns, const char *key, const char *value,
               int ttl); /* replaced a live one? */
const char *cache_get(struct cache_slot *slot, const char *ns,
                      const char *key); /* NULL: a miss; valid until the next call */
bool cache_invalidate(struct cache_slot *slot, const char *ns, const char *key);
int64_t cache_clear(struct cache_slot *slot, const char *ns); /* "" = all; how many live ones went */
int64_t cache_resize(struct cache_slot *slot, const char *event_id, int count); /* the limit in force */
const char *cache_reason(const struct cache_slot *slot);

double cache_stat(struct cache_slot *slot, const char *name);
double cache_namespace_stat(struct cache_slot *slot, const char *ns, const char *name);
/* Of wp_cache_entry; -1 when there is no such entry. */
double cache_entry(struct cache_slot *slot, const char *ns, const char *key, const char *name);
void cache_advance_time(struct cache_slot *slot, double seconds);

#endif
