/* Prints `--help` of the program and of a subcommand. */
#ifndef WP_CLI_USAGE_H
#define WP_CLI_USAGE_H
#include <stdio.h>
#include "cli/subcommand.h"

void wp_usage_print(FILE *out, const struct wp_subcommand *command);
/* `all` ends with NULL. */
void wp_usage_print_all(FILE *out, const struct wp_subcommand *const *all);
/* Says on stderr that there is no such subcommand. Returns the exit code. */
int wp_usage_refuse(const char *name);

#endif
