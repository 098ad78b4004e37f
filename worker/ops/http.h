/* Answers GET /healthz, /readyz, /metrics and the status page (/) on http.listen. One thread: the loop's.
 * To programs of this machine also GET /config and POST /reload. Internal to ops/. */
#ifndef WP_OPS_HTTP_H
#define WP_OPS_HTTP_H
#include "ops/snapshot.h"

struct http;

/* *ret_http is NULL when http.listen is empty. WP_ERR_CONFIG: the address is malformed or taken. Borrows
 * both: the snapshot is read at each request, and /metrics and open pages have the reader (may be NULL)
 * renew the shared figures. */
enum wp_err http_new(struct http **ret_http, const struct ops_snapshot *snapshot,
                     struct shared_reader *reader, struct wp_error *error) WP_MUST_CHECK;
/* Who is asked for a reload: as struct http_reloads has them. Without it POST /reload is refused. */
void http_on_reload(struct http *http, unsigned (*ask)(void *ctx), void *ctx);
/* A round is over. status: of HTTP; json: copied. */
void http_reloaded(struct http *http, unsigned round, unsigned status, const char *json);
int http_port(const struct http *http); /* the port that it listens on, chosen by the system for port 0 */
void http_free(struct http *http);      /* NULL is fine */

#endif
