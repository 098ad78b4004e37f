/* Requests to a schema registry: Confluent's API
 * (https://docs.confluent.io/platform/current/schema-registry/develop/api.html), which Apicurio Registry,
 * Karapace and Redpanda speak too, over HTTP with or without TLS, of several servers in turn. Asynchronous,
 * on the loop. One thread: the loop's. */
#ifndef WP_REGISTRY_CLIENT_H
#define WP_REGISTRY_CLIENT_H
#include <jansson.h>
#include <uv.h>
#include "core/config.h"
#include "core/stats.h"

enum registry_kind {
    REGISTRY_OK,        /* 200 and JSON */
    REGISTRY_NOT_FOUND, /* 404 by a registry: it has no such id, subject or version */
    REGISTRY_CONFLICT,  /* 409: incompatible */
    REGISTRY_INVALID,   /* 422: the schema or the request is refused for good */
    REGISTRY_DENIED,    /* 401, 403, a redirect, or no registry: only another configuration helps */
    REGISTRY_AWAY,      /* no server answers, or all are busy (429, 502, 503, 504) */
    REGISTRY_USELESS,   /* another answer: an error of the server, or nonsense */
};

struct registry_answer {
    enum registry_kind kind;
    const json_t *json; /* with REGISTRY_OK, borrowed */
    const char *said;   /* else: a clause, "the schema registry at URL answered 404: No such schema" */
};

struct registry_client;
/* Called from the loop, never in registry_client_call. */
typedef void (*registry_done)(void *ctx, const struct registry_answer *answer);

struct registry_client *registry_client_new(uv_loop_t *loop, const struct wp_config *config,
                                            struct wp_stats *stats);
/* A GET of the path ("/schemas/ids/1"), or a POST when there is a body (JSON). Both are copied. Each server
 * is tried once, from the one that answered last on, and has wire.registry.timeout_ms. */
void registry_client_call(struct registry_client *client, const char *path, const char *body,
                          registry_done done, void *ctx);
/* Drops the calls under way without their `done`. Run the loop once more afterwards. NULL is fine. */
void registry_client_free(struct registry_client *client);

#endif
