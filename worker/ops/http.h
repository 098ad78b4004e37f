/* GET /healthz, /readyz and /metrics on http.listen, without a thread of its own. Internal to ops/. */
#ifndef WP_OPS_HTTP_H
#define WP_OPS_HTTP_H
#include "ops/ops_internal.h"

/* *ret_http is NULL when http.listen is empty. WP_ERR_CONFIG: the address is malformed or taken. */
enum wp_err http_new(struct http **ret_http, struct wp_ops *ops, struct wp_error *error) WP_MUST_CHECK;
int http_port(const struct http *http); /* that it listens on, which http.listen may have left open */
void http_free(struct http *http);      /* NULL is fine */

#endif
