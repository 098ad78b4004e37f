/* Owns the conveniences of the cache tests. */
#include "support/cache_slot.h"
#include "cache/cache_calls.h"
#include <criterion/criterion.h>
#include <stdio.h>

void cache_slot_start(struct cache_slot *slot, const char *settings) {
    *slot = (struct cache_slot){.settings = settings, .last = -1};
    test_redis_start(&slot->redis);
    calls_load(&slot->redis, WP_SLOT_CACHE);
    calls_settings(slot->redis.connection, WP_SLOT_CACHE, settings);
}

void cache_slot_stop(struct cache_slot *slot) {
    calls_reply_done(&slot->answer);
    test_redis_stop(&slot->redis);
}

static void add(struct cache_slot *slot, struct test_events *events, const char *id, const char *op,
                const char *ns, const char *key, const char *value, int ttl, int count) {
    event_begin_cache(events, slot->last + 1 + (int64_t)events->count, 8);
    wp_pack_str(&events->packed, wp_str(id));
    wp_pack_str(&events->packed, wp_str(op));
    wp_pack_str(&events->packed, wp_str(ns));
    wp_pack_str(&events->packed, wp_str(key));
    if (value)
        wp_pack_str(&events->packed, wp_str(value));
    else
        wp_pack_bool(&events->packed, false);
    if (ttl != NO_TTL)
        wp_pack_int(&events->packed, ttl);
    else
        wp_pack_bool(&events->packed, false);
    if (count)
        wp_pack_int(&events->packed, count);
    else
        wp_pack_bool(&events->packed, false);
    if (value)
        wp_pack_int(&events->packed, wp_cache_json_bytes(wp_str(value)));
    else
        wp_pack_bool(&events->packed, false);
}

void cache_add(struct cache_slot *slot, struct test_events *events, const char *op, const char *ns,
               const char *key, const char *value, int ttl, int count) {
    char id[32];
    snprintf(id, sizeof id, "event-%lld", (long long)(slot->last + 1 + (int64_t)events->count));
    add(slot, events, id, op, ns, key, value, ttl, count);
}

void cache_send(struct cache_slot *slot, struct test_events *events) {
    int64_t last = slot->last + (int64_t)events->count;
    calls_reply_done(&slot->answer);
    int64_t floor = slot->last > RESULTS_KEPT ? slot->last - RESULTS_KEPT : 0;
    slot->answer =
        calls_topic(&slot->redis, "cache", CACHE_PARTITION, slot->last, floor, slot->settings, events);
    cr_assert_eq(slot->answer.status, 1);
    cr_assert_eq(slot->answer.applied, last, "the call ended early");
    cr_assert_eq(slot->answer.count, (size_t)(last - slot->last), "every event has one answer");
    slot->last = last;
}

static void one(struct cache_slot *slot, const char *op, const char *ns, const char *key, const char *value,
                int ttl) {
    struct test_events events = {0};
    cache_add(slot, &events, op, ns, key, value, ttl, 0);
    cache_send(slot, &events);
    cr_assert_eq(record_kind(&slot->answer, 0), 3);
    cr_assert_str_eq(record_str(&slot->answer, 0, "op"), op);
}

bool cache_set(struct cache_slot *slot, const char *ns, const char *key, const char *value, int ttl) {
    one(slot, "set", ns, key, value, ttl);
    return record_bool(&slot->answer, 0, "hit");
}

const char *cache_get(struct cache_slot *slot, const char *ns, const char *key) {
    one(slot, "get", ns, key, NULL, NO_TTL);
    cr_assert_neq(record_bool(&slot->answer, 0, "hit"), record_absent(&slot->answer, 0, "value"));
    return record_bool(&slot->answer, 0, "hit") ? record_str(&slot->answer, 0, "value") : NULL;
}

bool cache_invalidate(struct cache_slot *slot, const char *ns, const char *key) {
    one(slot, "invalidate", ns, key, NULL, NO_TTL);
    return record_bool(&slot->answer, 0, "hit");
}

int64_t cache_clear(struct cache_slot *slot, const char *ns) {
    one(slot, "clear", ns, "", NULL, NO_TTL);
    return record_absent(&slot->answer, 0, "count") ? -1 : record_int(&slot->answer, 0, "count");
}

int64_t cache_resize(struct cache_slot *slot, const char *event_id, int count) {
    struct test_events events = {0};
    add(slot, &events, event_id, "resize", "", "", NULL, NO_TTL, count);
    cache_send(slot, &events);
    return record_int(&slot->answer, 0, "count");
}

const char *cache_reason(const struct cache_slot *slot) {
    return record_str(&slot->answer, 0, "reason");
}

double cache_stat(struct cache_slot *slot, const char *name) {
    json_t *stats = calls_public(&slot->redis, "wp_cache_stats", NULL);
    double value = json_number_at(stats, name, NULL);
    json_decref(stats);
    return value;
}

double cache_namespace_stat(struct cache_slot *slot, const char *ns, const char *name) {
    json_t *stats = calls_public(&slot->redis, "wp_cache_stats", NULL);
    double value = json_number_at(stats, "namespaces", ns, name, NULL);
    json_decref(stats);
    return value;
}

double cache_entry(struct cache_slot *slot, const char *ns, const char *key, const char *name) {
    json_t *entry = calls_public(&slot->redis, "wp_cache_entry", ns, key, NULL);
    double value = json_object_size(entry) ? json_number_at(entry, name, NULL) : -1;
    json_decref(entry);
    return value;
}

void cache_advance_time(struct cache_slot *slot, double seconds) {
    calls_advance_time(&slot->redis, WP_SLOT_CACHE, seconds);
}
