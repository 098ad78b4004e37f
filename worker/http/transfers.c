/* libcurl on the loop: see transfers.h. */
#include "http/transfers.h"
#include <stdlib.h>
#include "core/buf.h"

struct wp_transfers {
    uv_loop_t *loop;
    struct wp_transfers_handler handler;
    void *ctx;
    CURLM *multi;
    uv_timer_t timer; /* libcurl's */
    bool inside;      /* a libcurl function is running */
    bool closed;
    int handles; /* of libuv, not closed yet */
};

struct watched { /* a socket of libcurl's */
    struct wp_transfers *transfers;
    uv_poll_t poll;
    curl_socket_t socket;
};

static void end_finished(struct wp_transfers *transfers) {
    CURLMsg *message;
    int left;
    while (!transfers->closed && (message = curl_multi_info_read(transfers->multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        transfers->handler.ended(transfers->ctx, message->easy_handle, code);
    }
    if (!transfers->closed && transfers->handler.settled) transfers->handler.settled(transfers->ctx);
}

static void act(struct wp_transfers *transfers, curl_socket_t socket, int events) {
    int running;
    transfers->inside = true;
    curl_multi_socket_action(transfers->multi, socket, events, &running);
    transfers->inside = false;
    end_finished(transfers);
}

static void on_timer(uv_timer_t *timer) {
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long ms, void *ctx) {
    struct wp_transfers *transfers = ctx;
    (void)multi;
    if (transfers->closed) return 0;
    if (ms < 0)
        uv_timer_stop(&transfers->timer);
    else { /* A timer, so that libcurl is not called from inside itself. It must not be early, because libcurl
              does not ask again: hence a fresh loop time, and a millisecond more. */
        uv_update_time(transfers->loop);
        uv_timer_start(&transfers->timer, on_timer, ms > 0 ? (uint64_t)ms + 1 : 0, 0);
    }
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct watched *watched = poll->data;
    int what = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) |
               (status < 0 ? CURL_CSELECT_ERR : 0);
    act(watched->transfers, watched->socket, what);
}

static void unhandle(struct wp_transfers *transfers) {
    if (--transfers->handles == 0) free(transfers);
}

static void on_poll_closed(uv_handle_t *handle) {
    struct watched *watched = handle->data;
    unhandle(watched->transfers);
    free(watched);
}

static int on_socket_wanted(CURL *curl, curl_socket_t socket, int what, void *ctx, void *socket_ctx) {
    struct wp_transfers *transfers = ctx;
    struct watched *watched = socket_ctx;
    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        if (watched) uv_close((uv_handle_t *)&watched->poll, on_poll_closed);
        curl_multi_assign(transfers->multi, socket, NULL);
        return 0;
    }
    if (!watched) {
        watched = wp_calloc(1, sizeof *watched);
        *watched = (struct watched){.transfers = transfers, .socket = socket};
        uv_poll_init_socket(transfers->loop, &watched->poll, socket);
        watched->poll.data = watched;
        transfers->handles++;
        curl_multi_assign(transfers->multi, socket, watched);
    }
    int events = (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);
    uv_poll_start(&watched->poll, events, on_poll);
    return 0;
}

struct wp_transfers *wp_transfers_new(uv_loop_t *loop, const struct wp_transfers_handler *handler,
                                      void *ctx) {
    struct wp_transfers *transfers = wp_calloc(1, sizeof *transfers);
    *transfers = (struct wp_transfers){.loop = loop, .handler = *handler, .ctx = ctx, .handles = 1};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    transfers->multi = curl_multi_init();
    wp_assert(transfers->multi);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    uv_timer_init(loop, &transfers->timer);
    transfers->timer.data = transfers;
    return transfers;
}

void wp_transfers_add(struct wp_transfers *transfers, CURL *curl) {
    curl_multi_add_handle(transfers->multi, curl);
}

void wp_transfers_remove(struct wp_transfers *transfers, CURL *curl) {
    curl_multi_remove_handle(transfers->multi, curl);
}

bool wp_transfers_inside(const struct wp_transfers *transfers) {
    return transfers->inside;
}

void wp_transfers_step(struct wp_transfers *transfers, int max_ms) {
    int running;
    curl_multi_poll(transfers->multi, NULL, 0, max_ms, NULL);
    transfers->inside = true;
    curl_multi_perform(transfers->multi, &running);
    transfers->inside = false;
    end_finished(transfers);
}

static void on_closed(uv_handle_t *handle) {
    unhandle(handle->data);
}

void wp_transfers_free(struct wp_transfers *transfers) {
    if (!transfers) return;
    transfers->closed = true;
    curl_multi_cleanup(transfers->multi); /* gives its sockets back through on_socket_wanted */
    uv_close((uv_handle_t *)&transfers->timer, on_closed);
}
