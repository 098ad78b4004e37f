/* The completion of zsh. */
#ifndef WP_CLI_COMPLETION_ZSH_H
#define WP_CLI_COMPLETION_ZSH_H
#include <stdio.h>
#include "cli/subcommand.h"

/* `all` ends with NULL. */
void wp_completion_print_zsh(FILE *out, const struct wp_subcommand *const *all);

#endif
