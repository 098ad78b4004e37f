/* A client of the Docker Engine API (https://docs.docker.com/reference/api/engine/), from version 1.41 on,
 * over the engine's Unix socket or TCP with TLS. Asynchronous, on the loop, through libcurl's multi
 * interface. One thread: the loop's. The version is negotiated: the engine's own, as `GET /_ping` says it;
 * calls wait for that, and ask anew after the engine was away. */
#ifndef WP_HOST_DOCKER_CLIENT_H
#define WP_HOST_DOCKER_CLIENT_H
#include <uv.h>
#include "core/config.h"
#include "core/str.h"

struct wp_docker_client;

struct wp_docker_client_answer {
    long status;        /* HTTP; 0: there was none, and the engine may or may not have done it */
    struct wp_str body; /* JSON, in general; valid during the callback */
    const char *error;  /* a sentence, with status 0 or from 400 on; else empty */
};
/* Never called from inside wp_docker_client_call. */
typedef void (*wp_docker_client_done)(void *ctx, const struct wp_docker_client_answer *answer);
typedef void (*wp_docker_client_line)(void *ctx, struct wp_str line);

/* docker.url and what else of docker.* says how to reach it. Does not wait for the engine. */
enum wp_err wp_docker_client_open(struct wp_docker_client **ret_engine, uv_loop_t *loop,
                                  const struct wp_config *config, struct wp_error *error) WP_MUST_CHECK;
/* path: from the version on, "/containers/json?all=1"; body: JSON, or NULL. Both are copied. Bounded by
 * docker.timeout_ms. */
void wp_docker_client_call(struct wp_docker_client *engine, const char *method, const char *path,
                           const char *body, wp_docker_client_done done, void *ctx);
/* A GET whose answer has no end: each line as it comes; opened (may be NULL) when the engine has accepted it,
 * done when it is over. */
void wp_docker_client_watch(struct wp_docker_client *engine, const char *path, void (*opened)(void *ctx),
                            wp_docker_client_line line, wp_docker_client_done done, void *ctx);
/* Not the engine but a container: a GET of url ("http://10.0.0.2:80/healthz"), bounded by most_ms, whose
 * redirects are not followed; with connect_only no more than a TCP connection, and status 200 stands for one.
 */
void wp_docker_client_reach(struct wp_docker_client *engine, const char *url, bool connect_only,
                            int64_t most_ms, wp_docker_client_done done, void *ctx);
/* Serves what is under way, streams aside, until all is answered or so long has passed. For the end, when the
 * loop is not run any more. */
void wp_docker_client_drain(struct wp_docker_client *engine, int64_t most_ms);
/* What is under way is answered with status 0, before it returns. */
void wp_docker_client_close(struct wp_docker_client *engine);

#endif
