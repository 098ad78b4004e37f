/* `warmpool check --diff`: the configuration of the command against the one that a worker runs with. */
#ifndef WP_CLI_CHECK_DIFF_H
#define WP_CLI_CHECK_DIFF_H
#include <stdio.h>
#include "core/config.h"

/* Prints a line for each key that differs. *ret_count: how many. Secrets are not compared: a worker does not
 * tell them. */
enum wp_err wp_check_diff(const struct wp_config *config, FILE *out, size_t *ret_count,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
