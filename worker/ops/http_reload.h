/* POST /reload: a request waits, suspended, until the configuration has been read again, and is answered with
 * what came of it. One thread: the loop's. Internal to ops/. */
#ifndef WP_OPS_HTTP_RELOAD_H
#define WP_OPS_HTTP_RELOAD_H
#include <microhttpd.h>
#include "core/buf.h"

struct reload_request;

struct http_reloads { /* zero-initialised: there is nobody to ask */
    /* Asks for a round of reading the configuration, and returns its number; 0: the worker is stopping. */
    unsigned (*ask)(void *ctx);
    void *ctx;
    struct reload_request *waiting;
};

/* The request has come whole. *request: libmicrohttpd's pointer of the request; from now on
 * http_reload_answer goes on with it, and http_reload_over frees it. */
enum MHD_Result http_reload_begin(struct http_reloads *reloads, struct MHD_Connection *connection,
                                  void **request);
enum MHD_Result http_reload_answer(struct reload_request *request, struct MHD_Connection *connection);
void http_reload_over(struct reload_request *request);
/* A round is over: answers those that asked for it, or for an earlier one. status: of HTTP. */
void http_reload_done(struct http_reloads *reloads, unsigned round, unsigned status, const char *json);

/* True when the client is a program of this machine: its address is the loopback's, or the server's own. */
bool http_is_local(struct MHD_Connection *connection);

#endif
