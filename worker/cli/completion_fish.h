/* The completion of fish. */
#ifndef WP_CLI_COMPLETION_FISH_H
#define WP_CLI_COMPLETION_FISH_H
#include <stdio.h>
#include "cli/subcommand.h"

/* `all` ends with NULL. */
void wp_completion_print_fish(FILE *out, const struct wp_subcommand *const *all);

#endif
