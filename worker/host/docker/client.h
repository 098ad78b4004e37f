/* A client of the Docker Engine API (https://docs.docker.com/reference/api/engine/), from version 1.41 on,
 * over the engine's Unix socket or TCP with TLS. Asynchronous, on the loop, through libcurl's multi
 * interface. One thread: the loop's. Calls use the engine's own API version, which `GET /_ping` returns: they
 * wait for it, WP_DOCKER_PING_MS at most, and it is asked for again after the engine was unreachable. */
#ifndef WP_HOST_DOCKER_CLIENT_H
#define WP_HOST_DOCKER_CLIENT_H
#include <uv.h>
#include "core/config.h"
#include "core/str.h"

#define WP_DOCKER_DENIED "permission denied" /* begins what is said to a user who may not use the socket */
#define WP_DOCKER_PING_MS 2000               /* for an answer to `GET /_ping` */

struct wp_docker_client;

struct wp_docker_client_answer {
    long status;        /* HTTP status; 0: no answer, the engine may or may not have carried out the call */
    struct wp_str body; /* JSON, in general; valid during the callback */
    const char *error;  /* a sentence, with status 0 or from 400 on; else empty */
};
/* Never called from inside wp_docker_client_call. */
typedef void (*wp_docker_client_done)(void *ctx, const struct wp_docker_client_answer *answer);
typedef void (*wp_docker_client_line)(void *ctx, struct wp_str line);

/* Reaches the engine by docker.url and docker.tls_*. Does not wait for the engine. */
enum wp_err wp_docker_client_open(struct wp_docker_client **ret_engine, uv_loop_t *loop,
                                  const struct wp_config *config, struct wp_error *error) WP_MUST_CHECK;
/* path: what follows the version, as "/containers/json?all=1"; body: JSON, or NULL. Both are copied. Ends
 * within docker.timeout_ms. */
void wp_docker_client_call(struct wp_docker_client *engine, const char *method, const char *path,
                           const char *body, wp_docker_client_done done, void *ctx);
/* A GET that ends within max_ms, or docker.timeout_ms where that is shorter. */
void wp_docker_client_get(struct wp_docker_client *engine, const char *path, int64_t max_ms,
                          wp_docker_client_done done, void *ctx);
/* A GET whose answer is an endless stream: calls `opened` (may be NULL) when the engine has accepted it,
 * `line` for each line, `done` when the stream has ended. */
void wp_docker_client_watch(struct wp_docker_client *engine, const char *path, void (*opened)(void *ctx),
                            wp_docker_client_line line, wp_docker_client_done done, void *ctx);
/* A POST whose answer is a stream that ends: pulls an image. Ends, too, when nothing came for
 * docker.timeout_ms. auth: the value of X-Registry-Auth, copied; NULL: none. */
void wp_docker_client_pull(struct wp_docker_client *engine, const char *path, const char *auth,
                           wp_docker_client_line line, wp_docker_client_done done, void *ctx);
/* The text as a part of a path or a query. Owned by the caller. */
char *wp_docker_client_escape(struct wp_str text);
/* A GET of a container's url ("http://10.0.0.2:80/healthz"), not of the engine: ends within max_ms and
 * follows no redirects. connect_only: only opens a TCP connection, and answers status 200 when it is open.
 */
void wp_docker_client_reach(struct wp_docker_client *engine, const char *url, bool connect_only,
                            int64_t max_ms, wp_docker_client_done done, void *ctx);
/* Blocks until all calls but streams are answered, for at most max_ms. For the worker's end, when the loop
 * does not run any more. */
void wp_docker_client_drain(struct wp_docker_client *engine, int64_t max_ms);
/* Answers all calls under way with status 0 before it returns. */
void wp_docker_client_close(struct wp_docker_client *engine);

#endif
