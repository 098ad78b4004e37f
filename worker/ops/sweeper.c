/* Owns the sweep: every worker.sweep_interval_ms it asks the slot what is due, and publishes an event that
 * makes the slot's function handle it. The function checks the time itself, so a late or repeated event is
 * harmless. The event goes to the partition that this worker owns: until the worker has finished an event of
 * the topic the last sweep counts as under way, so that sweeps do not pile up while events stand still. The
 * loop's thread. */
#include "ops/sweeper.h"
#include "core/clock.h"
#include <stdlib.h>

enum { SWEEP_PARTITION = 0, QUIET = 5 /* intervals between two questions while nothing is due soon */ };
enum { LOST_US = 5000000 /* after this long under way a sweep counts as lost */ };

struct sweeper {
    const struct ops_base *base;
    uv_timer_t timer;
    int64_t interval_ms; /* worker.sweep_interval_ms, as the timer has it */
    bool owner, asking, freed, closed;
    int64_t sent_us;   /* when the last one was published; 0: never */
    uint64_t finished; /* finished() at that time */
};

/* Events of the topic that this worker has finished. */
static uint64_t finished(const struct sweeper *sweeper) {
    uint64_t sum = 0;
    for (int outcome = 0; outcome < WP_OUTCOMES; outcome++)
        sum += sweeper->base->stats->events[WP_TOPIC_EVENT][outcome];
    return sum;
}

static bool in_flight(const struct sweeper *sweeper) {
    return sweeper->sent_us > 0 && finished(sweeper) == sweeper->finished &&
           wp_clock_us() < sweeper->sent_us + LOST_US;
}

static void publish(struct sweeper *sweeper, const char *state, struct wp_str host) {
    struct wp_container_event event = {
        .container_id = WP_STR("-"), .philosophy = WP_STR("-"), .host = host, .state = wp_str(state)};
    if (!wp_ops_publish_to(sweeper->base, WP_TOPIC_EVENT, SWEEP_PARTITION, WP_STR("sweep"), &event)) return;
    sweeper->sent_us = wp_clock_us();
    sweeper->finished = finished(sweeper);
}

/* Frees it when both the handle is closed and the reply has come. */
static void release(struct sweeper *sweeper) {
    if (sweeper->closed && !sweeper->asking) free(sweeper);
}

static void on_timer(uv_timer_t *timer);

/* us: until the next deadline that Redis knows of; below 0: there is none. */
static void look_again(struct sweeper *sweeper, int64_t us) {
    int64_t interval = sweeper->base->config->worker.sweep_ms, most = QUIET * interval;
    int64_t ms = us < 0 || us / 1000 > most ? most : us / 1000 < interval ? interval : us / 1000;
    uv_timer_start(&sweeper->timer, on_timer, (uint64_t)ms, (uint64_t)ms);
}

static void on_due(void *ctx, const redisReply *reply, const char *error) {
    struct sweeper *sweeper = ctx;
    (void)error;
    sweeper->asking = false;
    if (sweeper->freed) {
        release(sweeper);
        return;
    }
    if (!sweeper->owner || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 1) return;
    look_again(sweeper, reply->element[0]->integer);
    if (reply->element[0]->integer == 0) publish(sweeper, "request_timed_out", WP_STR("-"));
    for (size_t i = 1; i < reply->elements; i++)
        publish(sweeper, "host_down", (struct wp_str){reply->element[i]->str, reply->element[i]->len});
}

static void on_timer(uv_timer_t *timer) {
    struct sweeper *sweeper = timer->data;
    if (!sweeper->owner || sweeper->asking || in_flight(sweeper)) return;
    sweeper->asking =
        wp_link_call(sweeper->base->links[WP_SLOT_POOL], "due", NULL, 0, on_due, sweeper) == WP_OK;
}

void sweeper_configure(struct sweeper *sweeper) {
    int64_t interval = sweeper->base->config->worker.sweep_ms;
    if (sweeper->interval_ms == interval) return;
    sweeper->interval_ms = interval;
    uv_timer_start(&sweeper->timer, on_timer, (uint64_t)interval, (uint64_t)interval);
}

struct sweeper *sweeper_new(const struct ops_base *base) {
    struct sweeper *sweeper = wp_calloc(1, sizeof *sweeper);
    sweeper->base = base;
    uv_timer_init(base->loop, &sweeper->timer);
    sweeper->timer.data = sweeper;
    sweeper_configure(sweeper);
    return sweeper;
}

void sweeper_set_owner(struct sweeper *sweeper, bool owner) {
    sweeper->owner = owner;
}

void sweeper_stop(struct sweeper *sweeper) {
    sweeper->owner = false; /* so that an answer under way publishes nothing */
    uv_timer_stop(&sweeper->timer);
}

static void on_closed(uv_handle_t *handle) {
    struct sweeper *sweeper = handle->data;
    sweeper->closed = true;
    release(sweeper);
}

void sweeper_free(struct sweeper *sweeper) {
    if (!sweeper) return;
    sweeper->freed = true;
    uv_close((uv_handle_t *)&sweeper->timer, on_closed);
}
