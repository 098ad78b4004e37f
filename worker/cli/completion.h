/* The completion of command lines in bash, zsh and fish. */
#ifndef WP_CLI_COMPLETION_H
#define WP_CLI_COMPLETION_H
#include <stdio.h>
#include "cli/subcommand.h"

/* Prints a script for "bash", "zsh" or "fish". `all` ends with NULL. False: it is another shell, and nothing
 * has been printed. */
bool wp_completion_print(FILE *out, const struct wp_subcommand *const *all, const char *shell);

#endif
