/* A recovery: reads records (recover_logs.c), collects from them what is known of each request
 * (recover_requests.c), and hands that to Redis. The loop's thread; a timer takes the records that have come.
 */
#include "pipeline/recover.h"
#include <stdlib.h>
#include "core/log.h"
#include "core/pack.h"
#include "pipeline/recover_logs.h"
#include "pipeline/recover_requests.h"

enum { TICK_MS = 5, ROWS = 200 };

struct recovery {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_link *link;
    struct wp_wire *wire;
    uv_timer_t tick;
    struct recover_logs *logs;         /* NULL unless the topics are being read */
    struct recover_requests *requests; /* NULL unless a recovery is under way */
    int64_t covered_ms;                /* recover_logs_covered_ms */
    bool freed;
    int pins; /* the timer and a call */
    size_t records, most_kept, leases;
};

static void end(struct recovery *r) {
    uv_timer_stop(&r->tick);
    recover_logs_close(r->logs);
    recover_requests_free(r->requests);
    r->logs = NULL;
    r->requests = NULL;
}

static void hand_over(struct recovery *r);

static const char *why_not(const redisReply *reply, const char *error) {
    if (!reply) return error;
    return reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer of another form";
}

static void on_handed_over(void *ctx, const redisReply *reply, const char *error) {
    struct recovery *r = ctx;
    bool good = reply && reply->type == REDIS_REPLY_INTEGER;
    if (good) r->leases += (size_t)reply->integer;
    if (r->freed) {
        /* nothing more to do: the requests were freed */
    } else if (!good) {
        wp_log(WP_LOG_WARN, "recovery_failed", "reason=%s", why_not(reply, error));
        end(r);
    } else if (recover_requests_count(r->requests) > 0) {
        hand_over(r);
    } else {
        wp_log(WP_LOG_WARN, "state_recovered", "leases=%zu records=%zu most_kept=%zu note=%s", r->leases,
               r->records, r->most_kept,
               "Redis had forgotten; usage history, counters of pools and what only it knew are lost");
        end(r);
    }
    if (--r->pins == 0) free(r);
}

/* Sends the next rows; the call with the last ones says "end". */
static void hand_over(struct recovery *r) {
    struct wp_buf rows = {0}, all = {0};
    char covered[32];
    uint32_t count = recover_requests_pack(r->requests, ROWS, &rows);
    wp_pack_array(&all, count);
    wp_buf_add(&all, rows.data, rows.len);
    int length = snprintf(covered, sizeof covered, "%lld", (long long)r->covered_ms * 1000);
    const struct wp_str args[] = {recover_requests_count(r->requests) > 0 ? WP_STR("") : WP_STR("end"),
                                  {covered, (size_t)length},
                                  wp_buf_str(&all)};
    r->pins++;
    if (wp_link_call(r->link, "recover", args, 3, on_handed_over, r) != WP_OK) {
        r->pins--;
        end(r);
    }
    wp_buf_done(&rows);
    wp_buf_done(&all);
}

static bool take(void *ctx, enum wp_topic topic, const rd_kafka_message_t *message, int64_t at_ms) {
    struct recovery *r = ctx;
    bool taken = recover_requests_take(r->requests, topic, message, at_ms);
    if (taken) r->records++;
    return taken;
}

static void on_tick(uv_timer_t *timer) {
    struct recovery *r = timer->data;
    bool all = recover_logs_read(r->logs, take, r);
    size_t kept = recover_requests_count(r->requests);
    if (kept > r->most_kept) r->most_kept = kept;
    recover_requests_read_until(r->requests, recover_logs_read_until_ms(r->logs));
    if (!all) return;
    uv_timer_stop(timer);
    r->covered_ms = recover_logs_covered_ms(r->logs);
    recover_logs_close(r->logs);
    r->logs = NULL;
    hand_over(r);
}

struct recovery *recovery_new(uv_loop_t *loop, const struct wp_config *config, struct wp_link *link,
                              struct wp_wire *wire) {
    struct recovery *r = wp_calloc(1, sizeof *r);
    *r = (struct recovery){.loop = loop, .config = config, .link = link, .wire = wire, .pins = 1};
    uv_timer_init(loop, &r->tick);
    r->tick.data = r;
    return r;
}

static void on_opened(void *ctx, const char *error) {
    struct recovery *r = ctx;
    if (error) {
        wp_log(WP_LOG_WARN, "recovery_failed", "reason=%s", error);
        end(r); /* a partition that still needs it calls recovery_start again */
        return;
    }
    wp_log(WP_LOG_WARN, "recovery_started", "reason=%s",
           "Redis has forgotten what Kafka still tells: leases are looked up in container-assignment");
    uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
}

void recovery_start(struct recovery *r) {
    struct wp_error error;
    if (r->requests) return;
    if (recover_logs_open(&r->logs, r->loop, r->config, on_opened, r, &error)) {
        wp_log(WP_LOG_WARN, "recovery_failed", "reason=%s", error.text);
        return;
    }
    r->requests = recover_requests_new(r->config, r->wire);
    r->records = r->most_kept = r->leases = 0;
}

static void on_closed(uv_handle_t *handle) {
    struct recovery *r = handle->data;
    if (--r->pins == 0) free(r);
}

void recovery_free(struct recovery *r) {
    if (!r) return;
    end(r);
    r->freed = true;
    uv_close((uv_handle_t *)&r->tick, on_closed);
}
