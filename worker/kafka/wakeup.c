/* Owns the descriptor that librdkafka's queues write to, and the timer. */
#include "kafka/wakeup.h"
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICK_MS = 250 };

static const uint64_t one = 1;

enum wp_err wp_wakeup_open(struct wp_wakeup *wakeup, struct wp_error *error) {
    *wakeup = (struct wp_wakeup){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (wakeup->fd >= 0) return WP_OK;
    return wp_fail(error, WP_ERR_SYSTEM, "The Kafka client has no descriptor to be woken by: %s",
                   strerror(errno));
}

/* Empties the descriptor first: what is written while `woken` runs wakes the loop again. */
static void wake(struct wp_wakeup *wakeup) {
    uint64_t count;
    ssize_t got = read(wakeup->fd, &count, sizeof count);
    wp_assert(got == sizeof count || errno == EAGAIN);
    wakeup->woken(wakeup->ctx);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    wake(poll->data);
}

static void on_tick(uv_timer_t *timer) {
    wake(timer->data);
}

void wp_wakeup_start(struct wp_wakeup *wakeup, uv_loop_t *loop, void (*woken)(void *ctx), void *ctx) {
    wakeup->woken = woken;
    wakeup->ctx = ctx;
    uv_poll_init(loop, &wakeup->poll, wakeup->fd);
    uv_timer_init(loop, &wakeup->tick);
    wakeup->poll.data = wakeup->tick.data = wakeup;
    wakeup->open_handles = 2;
    uv_poll_start(&wakeup->poll, UV_READABLE, on_poll);
    uv_timer_start(&wakeup->tick, on_tick, TICK_MS, TICK_MS);
}

void wp_wakeup_watch(const struct wp_wakeup *wakeup, rd_kafka_queue_t *queue) {
    rd_kafka_queue_io_event_enable(queue, wakeup->fd, &one, sizeof one);
}

void wp_wakeup_unwatch(rd_kafka_queue_t *queue) {
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
}

void wp_wakeup_again(const struct wp_wakeup *wakeup) {
    ssize_t written = write(wakeup->fd, &one, sizeof one);
    wp_assert(written == sizeof one || errno == EAGAIN); /* full: it is readable already */
}

static void end(struct wp_wakeup *wakeup) {
    close(wakeup->fd);
    if (wakeup->closed) wakeup->closed(wakeup->ctx);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_wakeup *wakeup = handle->data;
    if (--wakeup->open_handles == 0) end(wakeup);
}

void wp_wakeup_close(struct wp_wakeup *wakeup, void (*closed)(void *ctx), void *ctx) {
    wakeup->closed = closed;
    wakeup->ctx = ctx;
    if (wakeup->open_handles == 0) {
        end(wakeup);
        return;
    }
    uv_close((uv_handle_t *)&wakeup->poll, on_closed);
    uv_close((uv_handle_t *)&wakeup->tick, on_closed);
}
