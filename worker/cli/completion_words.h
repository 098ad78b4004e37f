/* What completes a value: told by how the tables of options and subcommands write it. */
#ifndef WP_CLI_COMPLETION_WORDS_H
#define WP_CLI_COMPLETION_WORDS_H
#include <stdio.h>
#include "cli/subcommand.h"

enum wp_value_kind {
    WP_VALUE_ANY, /* nothing is offered: "SECONDS" */
    WP_VALUE_FILES,
    WP_VALUE_FOLDERS,
    WP_VALUE_KEYS,  /* SECTION.KEY=VALUE */
    WP_VALUE_WORDS, /* wp_value_words prints them: "bash|zsh|fish", "show,forget", "TOPIC", "SUBCOMMAND" */
};

/* `value` is an option's argument, or a subcommand's `values`; NULL: WP_VALUE_ANY. */
enum wp_value_kind wp_value_kind(const char *value);
/* The words with blanks between them. `all` ends with NULL. */
void wp_value_words(FILE *out, const char *value, const struct wp_subcommand *const *all);
/* May the positional argument be given again and again? */
bool wp_value_repeats(const struct wp_subcommand *command);

/* Text for people between two single quotes of a shell: without backticks, and each of `escaped`, and the
 * quote, in the shell's own way. */
void wp_value_quoted(FILE *out, const char *text, const char *escaped, const char *quote);

#endif
