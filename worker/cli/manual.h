/* The man pages: warmpool(1), warmpool-NAME(1) of each subcommand, and warmpool.ini(5). */
#ifndef WP_CLI_MANUAL_H
#define WP_CLI_MANUAL_H
#include <stdio.h>
#include "cli/subcommand.h"

/* The names of all pages' files, "warmpool-send.1", one a line. `all` ends with NULL. */
void wp_manual_list(FILE *out, const struct wp_subcommand *const *all);
/* Prints a page as input of man(7). `page` is its file's name, or that without the section ("warmpool-send").
 * False: there is no such page, and nothing has been printed. */
bool wp_manual_print(FILE *out, const struct wp_subcommand *const *all, const char *page);

#endif
