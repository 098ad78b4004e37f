/* Prepares a new connection before it takes calls: AUTH, SELECT, loading the slot's function libraries where
 * Redis has none or older ones, sending the settings, and checking that enough replicas follow. Reports by
 * callbacks; does not own the connection. One thread: the loop's. */
#ifndef WP_STORE_GREETING_H
#define WP_STORE_GREETING_H
#include "store/slot_settings.h"
#include "store/url.h"

struct wp_greeting {
    const struct wp_config *config; /* borrowed, as all of these */
    const struct wp_redis_url *url;
    enum wp_slot slot;
    struct wp_slot_settings *settings;
    void (*selected)(void *ctx);                /* AUTH and SELECT are done */
    void (*done)(void *ctx);                    /* the connection takes calls */
    void (*failed)(void *ctx, const char *why); /* the owner drops the connection */
    void *ctx;
    /* greeting.c alone changes these */
    redisAsyncContext *redis; /* NULL: no greeting is under way, and late answers are ignored */
    int library;              /* number of the library that is being checked */
    int loads;                /* how often it was loaded */
};

void wp_greeting_start(struct wp_greeting *greeting, redisAsyncContext *redis);
void wp_greeting_stop(struct wp_greeting *greeting); /* no callback follows */

#endif
