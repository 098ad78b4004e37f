/* The result of a reload as JSON, which POST /reload answers with and `warmpool reload` prints:
 *   {"ok": true, "file": "/etc/warmpool/warmpool.ini" or null,
 *    "changes": [{"key": "pool.size", "before": "10" or null, "after": "20" or null, "applies": "at once"}]}
 *   {"ok": false, "file": ..., "error": "a sentence"} */
#ifndef WP_CLI_RELOAD_RESULT_H
#define WP_CLI_RELOAD_RESULT_H
#include <jansson.h>
#include <stdio.h>
#include "cli/reloading.h"

char *wp_reload_result_json(const struct wp_reload_result *result); /* owned by the caller */
/* Prints a line for each change, and what came of it. json: as above; other fields are ignored. */
void wp_reload_result_print(const json_t *json, FILE *out);

#endif
