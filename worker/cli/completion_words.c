/* Words for completion, from the tables of topics, subcommands and options. */
#include "cli/completion_words.h"
#include <ctype.h>
#include <string.h>
#include "wire/topics.h"

enum wp_value_kind wp_value_kind(const char *value) {
    if (!value) return WP_VALUE_ANY;
    if (strcmp(value, "FILE") == 0) return WP_VALUE_FILES;
    if (strcmp(value, "FOLDER") == 0) return WP_VALUE_FOLDERS;
    if (strcmp(value, "SECTION.KEY=VALUE") == 0) return WP_VALUE_KEYS;
    if (strcmp(value, "TOPIC") == 0 || strcmp(value, "SUBCOMMAND") == 0) return WP_VALUE_WORDS;
    return islower((unsigned char)*value) ? WP_VALUE_WORDS : WP_VALUE_ANY;
}

void wp_value_words(FILE *out, const char *value, const struct wp_subcommand *const *all) {
    const char *before = "";
    if (strcmp(value, "TOPIC") == 0) {
        for (int i = 0; i < WP_TOPICS; i++, before = " ") fprintf(out, "%s%s", before, wp_topics[i].name);
    } else if (strcmp(value, "SUBCOMMAND") == 0) {
        for (; *all; all++, before = " ") fprintf(out, "%s%s", before, (*all)->name);
    } else {
        for (; *value; value++) putc(*value == '|' || *value == ',' ? ' ' : *value, out);
    }
}

bool wp_value_repeats(const struct wp_subcommand *command) {
    return strstr(command->arguments, "...") != NULL;
}

void wp_value_quoted(FILE *out, const char *text, const char *escaped, const char *quote) {
    for (; *text; text++) {
        if (*text == '`') continue;
        if (*text == '\'') {
            fputs(quote, out);
            continue;
        }
        if (strchr(escaped, *text)) putc('\\', out);
        putc(*text, out);
    }
}
