/* The completion of bash. */
#ifndef WP_CLI_COMPLETION_BASH_H
#define WP_CLI_COMPLETION_BASH_H
#include <stdio.h>
#include "cli/subcommand.h"

/* `all` ends with NULL. */
void wp_completion_print_bash(FILE *out, const struct wp_subcommand *const *all);

#endif
