/* GET /healthz, /readyz and /metrics on http.listen, without a thread of its own. Internal to ops/. */
#ifndef WP_OPS_HTTP_H
#define WP_OPS_HTTP_H
#include "ops/snapshot.h"

struct http;

/* *ret_http is NULL when http.listen is empty. WP_ERR_CONFIG: the address is malformed or taken. */
/* The snapshot is borrowed and read with each request; the reader (NULL: none) then has its shared figures
 * renewed. */
enum wp_err http_new(struct http **ret_http, const struct ops_snapshot *snapshot,
                     struct shared_reader *reader, struct wp_error *error) WP_MUST_CHECK;
int http_port(const struct http *http); /* that it listens on, which http.listen may have left open */
void http_free(struct http *http);      /* NULL is fine */

#endif
