/* Prints a replay's result, as text for people and as JSON for programs. */
#ifndef WP_CLI_REPLAY_REPORT_H
#define WP_CLI_REPLAY_REPORT_H
#include <jansson.h>
#include <stdio.h>
#include "cli/replay_result.h"

void wp_replay_print_line(const struct wp_replay_result *result, double seconds, uint64_t holding, FILE *out);
void wp_replay_print_table(const struct wp_replay_result *result, FILE *out);
json_t *wp_replay_json(const struct wp_replay_result *result); /* owned by the caller */

#endif
