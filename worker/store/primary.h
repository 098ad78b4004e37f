/* Finds the primary that sentinels name, for a link: off the loop, in its thread pool. While the link is
 * connected it asks one sentinel a second whether it is still that one, since an old primary that stays up,
 * or is cut off from its sentinels, does not say that it was replaced. (That needs no subscription, which may
 * be lost without a sign.) Reports by callbacks. One thread: the loop's. */
#ifndef WP_STORE_PRIMARY_H
#define WP_STORE_PRIMARY_H
#include <uv.h>
#include "store/sentinel.h"

struct wp_primary {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed, as this */
    const struct wp_redis_url *url; /* one that names sentinels */
    void (*found)(void *ctx, const struct wp_redis_primary *primary);
    void (*failed)(void *ctx, const char *why);
    void (*moved)(void *ctx, const char *why); /* another server is the primary now */
    void (*closed)(void *ctx);                 /* after wp_primary_close: the struct may go */
    void *ctx;
    /* primary.c alone changes these */
    struct wp_sentinels *sentinels;
    struct wp_redis_primary present; /* the one that was found last; port 0: none yet */
    uv_work_t work;
    bool busy; /* work is under way; the fields below are its own then */
    bool closing;
    size_t turn;          /* the sentinel that a watch asks */
    int64_t watched_us;   /* when a watch began last */
    size_t failed_before; /* sentinels that had not answered when it began */
    struct wp_redis_primary result;
    enum wp_err err;
    struct wp_error why;
};

bool wp_primary_busy(const struct wp_primary *primary);
/* Calls found or failed, later. Never while busy. */
void wp_primary_find(struct wp_primary *primary);
/* To be called often while connected to the primary found last: asks at most once a second, and calls moved
 * when it is another one. */
void wp_primary_watch(struct wp_primary *primary);
/* Only closed is called any more, now or when the server that is being asked has answered. */
void wp_primary_close(struct wp_primary *primary);

#endif
