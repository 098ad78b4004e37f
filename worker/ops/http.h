/* Answers GET /healthz, /readyz, /metrics and the status page (/) on http.listen. One thread: the loop's.
 * Internal to ops/. */
#ifndef WP_OPS_HTTP_H
#define WP_OPS_HTTP_H
#include "ops/snapshot.h"

struct http;

/* *ret_http is NULL when http.listen is empty. WP_ERR_CONFIG: the address is malformed or taken. Borrows
 * both: the snapshot is read at each request, and /metrics and open pages have the reader (may be NULL)
 * renew the shared figures. */
enum wp_err http_new(struct http **ret_http, const struct ops_snapshot *snapshot,
                     struct shared_reader *reader, struct wp_error *error) WP_MUST_CHECK;
int http_port(const struct http *http); /* the port that it listens on, chosen by the system for port 0 */
void http_free(struct http *http);      /* NULL is fine */

#endif
