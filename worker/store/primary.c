/* Finds the primary and watches whether it is still that one: see primary.h. */
#include "store/primary.h"
#include <stdio.h>
#include "core/clock.h"
#include "core/log.h"

enum { WATCH_US = 1000000 };

bool wp_primary_busy(const struct wp_primary *primary) {
    return primary->busy;
}

static struct wp_sentinels *sentinels_of(struct wp_primary *primary) {
    if (!primary->sentinels) primary->sentinels = wp_sentinels_new(primary->config, primary->url);
    return primary->sentinels;
}

static void close_now(struct wp_primary *primary) {
    wp_sentinels_free(primary->sentinels);
    primary->sentinels = NULL;
    primary->closed(primary->ctx);
}

/* ---- log lines ---- */

static void log_found(const struct wp_primary *primary) {
    const struct wp_redis_primary *present = &primary->present;
    const char *loses = wp_redis_switch_loses(primary->config, present);
    wp_log(WP_LOG_INFO, "redis_primary_found", "name=%s host=%s port=%d config_epoch=%lld",
           primary->url->primary, present->host, present->port, present->epoch);
    if (loses)
        wp_log(WP_LOG_WARN, "redis_switch_may_forget", "name=%s reason=%s", primary->url->primary, loses);
}

/* After a watch: says when all sentinels are away, or back. */
static void log_away(const struct wp_primary *primary) {
    size_t all = primary->url->sentinel_count, failed = wp_sentinels_failed(primary->sentinels);
    if (failed == all && primary->failed_before < all)
        wp_log(WP_LOG_WARN, "redis_sentinels_away", "url=%s reason=%s", primary->url->shown,
               primary->why.text);
    if (failed < all && primary->failed_before == all)
        wp_log(WP_LOG_INFO, "redis_sentinels_back", "url=%s", primary->url->shown);
}

/* ---- to find ---- */

static void find_run(uv_work_t *work) {
    struct wp_primary *primary = work->data;
    primary->err = wp_sentinels_find(primary->sentinels, &primary->result, &primary->why);
}

static void find_done(uv_work_t *work, int status) {
    struct wp_primary *primary = work->data;
    primary->busy = false;
    if (primary->closing) {
        close_now(primary);
    } else if (status || primary->err) {
        primary->failed(primary->ctx, status ? uv_strerror(status) : primary->why.text);
    } else {
        bool is_new = !wp_redis_primary_is(&primary->present, &primary->result);
        primary->present = primary->result;
        if (is_new) log_found(primary);
        primary->found(primary->ctx, &primary->present);
    }
}

static void start(struct wp_primary *primary, uv_work_cb run, uv_after_work_cb done) {
    wp_assert(!primary->busy && !primary->closing);
    primary->failed_before = wp_sentinels_failed(sentinels_of(primary));
    /* The configuration may be read again while the pool's thread works. */
    wp_sentinels_limit(primary->sentinels, primary->config->redis.timeout_ms);
    primary->busy = true;
    primary->work.data = primary;
    wp_assert(uv_queue_work(primary->loop, &primary->work, run, done) == 0);
}

void wp_primary_find(struct wp_primary *primary) {
    start(primary, find_run, find_done);
}

/* ---- to watch ---- */

/* One sentinel's word may be old, so when it names another primary all are asked. What cannot be found out
 * changes nothing: the present one is used on. */
static void watch_run(uv_work_t *work) {
    struct wp_primary *primary = work->data;
    primary->err = wp_sentinels_ask(primary->sentinels, primary->turn, &primary->result, &primary->why);
    if (primary->err || wp_redis_primary_is(&primary->present, &primary->result)) return;
    primary->err = wp_sentinels_find(primary->sentinels, &primary->result, &primary->why);
}

static void watch_done(uv_work_t *work, int status) {
    struct wp_primary *primary = work->data;
    char text[400];
    primary->busy = false;
    if (primary->closing) {
        close_now(primary);
        return;
    }
    if (status) return;
    log_away(primary);
    if (primary->err || wp_redis_primary_is(&primary->present, &primary->result)) return;
    (void)snprintf(text, sizeof text, "the sentinels name %s:%d as the primary of %s now",
                   primary->result.host, primary->result.port, primary->url->primary);
    primary->moved(primary->ctx, text);
}

void wp_primary_watch(struct wp_primary *primary) {
    int64_t now = wp_clock_us();
    if (primary->busy || primary->closing || now - primary->watched_us < WATCH_US) return;
    primary->watched_us = now;
    primary->turn = (primary->turn + 1) % primary->url->sentinel_count;
    start(primary, watch_run, watch_done);
}

/* ---- to end ---- */

void wp_primary_close(struct wp_primary *primary) {
    primary->closing = true;
    if (!primary->busy)
        close_now(primary);
    else
        wp_sentinels_cancel(primary->sentinels);
}
