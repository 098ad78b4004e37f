/* Prints a replay's result, as text for people and as JSON for programs. */
#ifndef WP_CLI_REPLAY_REPORT_H
#define WP_CLI_REPLAY_REPORT_H
#include <jansson.h>
#include <stdio.h>
#include "cli/replay_result.h"

/* The live line: the last second, beside the run so far. Not longer than columns, 0: as long as it is. */
void wp_replay_print_line(const struct wp_replay_result *result, double seconds, int columns, FILE *out);
void wp_replay_print_table(const struct wp_replay_result *result, FILE *out);
json_t *wp_replay_json(const struct wp_replay_result *result); /* owned by the caller */

#endif
