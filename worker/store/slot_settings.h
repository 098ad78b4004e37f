/* The settings of a state slot: the part of the configuration that its functions use. Sends them with each
 * connection, at each change and every ten seconds, and knows whether the slot uses them. One thread: the
 * loop's. */
#ifndef WP_STORE_SLOT_SETTINGS_H
#define WP_STORE_SLOT_SETTINGS_H
#include "core/buf.h"
#include "store/slot_clock.h"

struct wp_slot_settings {
    struct wp_calls *calls;      /* borrowed, as this */
    struct wp_slot_clock *clock; /* gets Redis' clock from the answers */
    /* slot_settings.c alone changes these */
    struct wp_buf map; /* empty: no settings yet, and nothing is sent */
    char *owner;
    int64_t read_ms;
    char hash[17];
    char in_force_hash[17]; /* hash of the settings that the slot uses; empty: not known */
    bool in_force;
    int64_t sent_us; /* when they were sent last */
};

/* As wp_link_settings. */
void wp_slot_settings_set(struct wp_slot_settings *settings, const char *owner, int64_t read_ms,
                          struct wp_str map);
/* Sends the settings again when that is due, so that the slot knows which live workers have other settings,
 * and this worker learns when the slot uses another worker's. To be called several times a second. */
void wp_slot_settings_watch(struct wp_slot_settings *settings);
bool wp_slot_settings_exist(const struct wp_slot_settings *settings);
/* Sends the settings on a connection that takes no calls yet; `then` passes the answer to
 * wp_slot_settings_answered. */
void wp_slot_settings_send(const struct wp_slot_settings *settings, redisAsyncContext *redis,
                           redisCallbackFn *then, void *data);
void wp_slot_settings_answered(struct wp_slot_settings *settings, const redisReply *reply);
void wp_slot_settings_done(struct wp_slot_settings *settings);

#endif
