/* How librdkafka's queues wake the loop: a queue that becomes non-empty writes to a descriptor. A timer wakes
 * the loop, too, because a queue writes only once, and because a consumer must be polled within
 * max.poll.interval.ms. One thread: the loop's; librdkafka's threads only write to the descriptor. */
#ifndef WP_KAFKA_WAKEUP_H
#define WP_KAFKA_WAKEUP_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <uv.h>
#include "core/err.h"

struct wp_wakeup { /* wakeup.c alone changes these */
    int fd;
    uv_poll_t poll;
    uv_timer_t tick;
    int open_handles;
    void (*woken)(void *ctx);
    void (*closed)(void *ctx);
    void *ctx;
};

/* Opens the descriptor, so that queues can be watched. WP_ERR_SYSTEM: there is none left. */
enum wp_err wp_wakeup_open(struct wp_wakeup *wakeup, struct wp_error *error) WP_MUST_CHECK;
/* From now on calls `woken` on the loop, which takes all that the queues have, without waiting. */
void wp_wakeup_start(struct wp_wakeup *wakeup, uv_loop_t *loop, void (*woken)(void *ctx), void *ctx);
void wp_wakeup_watch(const struct wp_wakeup *wakeup, rd_kafka_queue_t *queue);
void wp_wakeup_unwatch(rd_kafka_queue_t *queue); /* before the queue is destroyed */
/* Calls `woken` in the loop's next turn. */
void wp_wakeup_again(const struct wp_wakeup *wakeup);
/* No queue may be watched any more. Calls `closed` when the handles are closed; at once when it was never
 * started (then `closed` may be NULL). */
void wp_wakeup_close(struct wp_wakeup *wakeup, void (*closed)(void *ctx), void *ctx);

#endif
