/* `warmpool help`: needs the table of subcommands, so main.c calls it with that. */
#ifndef WP_CLI_HELP_H
#define WP_CLI_HELP_H
#include "cli/subcommand.h"

/* `all` ends with NULL; argv[0] is "help". Returns the exit code. */
int wp_help_run(const struct wp_subcommand *const *all, int argc, char **argv);

#endif
