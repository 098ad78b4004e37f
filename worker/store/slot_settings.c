/* Keeps and sends the settings of one slot: see slot_settings.h. */
#include "store/slot_settings.h"
#include <stdlib.h>
#include "core/clock.h"
#include "core/log.h"
#include "store/functions.h"

enum { REPEAT_US = 10 * 1000000 };

static void note_difference(const struct wp_slot_settings *settings, const char *owner) {
    struct wp_stats *stats = settings->calls->stats;
    unsigned bit = 1u << settings->calls->slot;
    stats->settings_differ = (stats->settings_differ & ~bit) | (settings->in_force ? 0 : bit);
    if (!settings->in_force) (void)snprintf(stats->settings_owner, sizeof stats->settings_owner, "%s", owner);
}

static void log_difference(const struct wp_slot_settings *settings, const char *owner) {
    const char *slot = settings->calls->slot == WP_SLOT_POOL ? "pool" : "cache";
    if (settings->in_force)
        wp_log(WP_LOG_INFO, "settings_agree", "slot=%s settings=%s", slot, settings->hash);
    else
        wp_log(WP_LOG_WARN, "settings_differ", "slot=%s ours=%s in_force=%s of=%s reason=%s", slot,
               settings->hash, settings->in_force_hash, owner,
               "that worker has another configuration, which it read later, and Redis uses that: give all "
               "workers the same and reload or restart them");
}

/* Reply: {1 when ours are in force, else 0; the hash in force; Redis' clock in ms; format; the worker whose
 * settings are in force} */
void wp_slot_settings_answered(struct wp_slot_settings *settings, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 4) return;
    bool differed = settings->in_force_hash[0] && !settings->in_force;
    bool changed = strcmp(settings->in_force_hash, reply->element[1]->str) != 0;
    const char *owner = reply->elements > 4 ? reply->element[4]->str : "another worker";
    settings->in_force = reply->element[0]->integer == 1;
    (void)snprintf(settings->in_force_hash, sizeof settings->in_force_hash, "%s", reply->element[1]->str);
    wp_slot_clock_note(settings->clock, reply->element[2]->integer);
    note_difference(settings, owner);
    if (differed == settings->in_force || (changed && !settings->in_force)) log_difference(settings, owner);
}

static void on_changed(void *ctx, const redisReply *reply, const char *error);

static void send_change(struct wp_slot_settings *settings) {
    settings->sent_us = wp_clock_us();
    char read[24];
    int length = snprintf(read, sizeof read, "%lld", (long long)settings->read_ms);
    const struct wp_str args[] = {
        wp_str(settings->owner), {read, (size_t)length}, wp_str(settings->hash), wp_buf_str(&settings->map)};
    if (wp_calls_send(settings->calls, "settings", args, 4, on_changed, settings))
        return; /* there is no connection: they are sent with the next one */
}

static void on_changed(void *ctx, const redisReply *reply, const char *error) {
    struct wp_slot_settings *settings = ctx;
    (void)error;
    if (reply && wp_calls_note_gap(settings->calls, reply)) {
        send_change(settings);
    } else if (reply && reply->type != REDIS_REPLY_ERROR) {
        wp_slot_settings_answered(settings, reply);
    }
}

void wp_slot_settings_set(struct wp_slot_settings *settings, const char *owner, int64_t read_ms,
                          struct wp_str map) {
    wp_buf_reset(&settings->map);
    wp_buf_add(&settings->map, map.ptr, map.len);
    free(settings->owner);
    settings->owner = wp_strdup(owner);
    settings->read_ms = read_ms;
    snprintf(settings->hash, sizeof settings->hash, "%016llx", (unsigned long long)wp_str_hash64(map));
    send_change(settings);
}

void wp_slot_settings_watch(struct wp_slot_settings *settings) {
    if (settings->map.len > 0 && wp_clock_us() - settings->sent_us >= REPEAT_US) send_change(settings);
}

bool wp_slot_settings_exist(const struct wp_slot_settings *settings) {
    return settings->map.len > 0;
}

void wp_slot_settings_send(const struct wp_slot_settings *settings, redisAsyncContext *redis,
                           redisCallbackFn *then, void *data) {
    const struct wp_function *f = wp_function_find(settings->calls->slot, "settings");
    char elapsed[48];
    struct wp_str passed = wp_calls_elapsed(settings->calls, elapsed, sizeof elapsed);
    redisAsyncCommand(redis, then, data, "FCALL %s 1 %s %b %s %lld %s %b", f->name, settings->calls->root,
                      passed.ptr, passed.len, settings->owner, (long long)settings->read_ms, settings->hash,
                      settings->map.data, settings->map.len);
}

void wp_slot_settings_done(struct wp_slot_settings *settings) {
    wp_buf_done(&settings->map);
    free(settings->owner);
}
