/* Asks the worker that runs on this machine, at the http.listen of its configuration. Blocks. */
#ifndef WP_CLI_WORKER_HTTP_H
#define WP_CLI_WORKER_HTTP_H
#include <jansson.h>
#include "core/config.h"

/* True when http.listen names a port by which a worker can be found. */
bool wp_worker_http_is_known(const struct wp_config *config);
/* method: "GET" or "POST". *ret_json: the answer, whatever its status; for json_decref. The error names the
 * address. */
enum wp_err wp_worker_http(const struct wp_config *config, const char *method, const char *path,
                           json_t **ret_json, struct wp_error *error) WP_MUST_CHECK;

#endif
