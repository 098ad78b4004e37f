/* Runs libcurl's transfers on the loop, through its multi interface
 * (https://curl.se/libcurl/c/curl_multi_socket_action.html). Owns the multi handle, and the sockets and the
 * timer that libcurl wants watched; the easy handles stay the caller's. One thread: the loop's. */
#ifndef WP_HTTP_TRANSFERS_H
#define WP_HTTP_TRANSFERS_H
#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct wp_transfers;

struct wp_transfers_handler { /* called while no function of libcurl runs */
    /* The transfer is over. Its handle is still added: the callee removes it. */
    void (*ended)(void *ctx, CURL *curl, CURLcode code);
    /* After all transfers that had ended were passed; NULL: not wanted. */
    void (*settled)(void *ctx);
};

struct wp_transfers *wp_transfers_new(uv_loop_t *loop, const struct wp_transfers_handler *handler, void *ctx);
/* Starts the transfer; `ended` is never called from inside. Not to be called from a callback of a transfer
 * (write, header): see wp_transfers_inside. */
void wp_transfers_add(struct wp_transfers *transfers, CURL *curl);
/* The same restriction. */
void wp_transfers_remove(struct wp_transfers *transfers, CURL *curl);
/* True while a function of libcurl runs, which allows no other: wait for `settled`. */
bool wp_transfers_inside(const struct wp_transfers *transfers);
/* Blocks until something happens, at most so long, and handles it. For the worker's end, when the loop does
 * not run any more. */
void wp_transfers_step(struct wp_transfers *transfers, int max_ms);
/* Ends no transfer: the caller has removed all. Run the loop once more afterwards. NULL is fine. */
void wp_transfers_free(struct wp_transfers *transfers);

#endif
