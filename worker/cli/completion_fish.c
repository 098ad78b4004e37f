/* The completion of fish. */
#include "cli/completion_fish.h"
#include "cli/completion_words.h"
#include "core/config.h"

#define QUOTE "\\'"

static const char functions[] = "function __warmpool_first\n"
                                "    test (count (commandline -opc)) -eq 1\n"
                                "end\n"
                                "\n"
                                "function __warmpool_in\n"
                                "    set -l words (commandline -opc)\n"
                                "    test (count $words) -ge 2; and test $words[2] = $argv[1]\n"
                                "end\n"
                                "\n";

/* ---- keys ---- */

static void print_key_line(FILE *out, const struct wp_config_key *key, const char *word, size_t length) {
    fprintf(out, "    printf '%%s\\t%%s\\n' '%.*s%s%.*s' '", (int)key->name.len, key->name.ptr,
            key->family ? "" : "=", (int)length, word);
    wp_value_quoted(out, key->text, "\\", QUOTE);
    fputs("'\n", out);
}

static void print_key(void *ctx, const struct wp_config_key *key) {
    print_key_line(ctx, key, "", 0);
    for (const char *word = key->words; word && *word;) {
        size_t length = strcspn(word, ",");
        print_key_line(ctx, key, word, length);
        word += length + (word[length] == ',');
    }
}

/* ---- subcommands ---- */

static void begin(FILE *out, const struct wp_subcommand *command) {
    fprintf(out, "complete -c warmpool -n '__warmpool_in %s'", command->name);
}

/* -r: a value follows; -x: and no file is offered for it. */
static void print_value(FILE *out, const char *value, const struct wp_subcommand *const *all) {
    switch (wp_value_kind(value)) {
    case WP_VALUE_FILES:
        fputs(" -r -F", out);
        break;
    case WP_VALUE_FOLDERS:
        fputs(" -x -a '(__fish_complete_directories)'", out);
        break;
    case WP_VALUE_KEYS:
        fputs(" -x -a '(__warmpool_keys)'", out);
        break;
    case WP_VALUE_WORDS:
        fputs(" -x -a '", out);
        wp_value_words(out, value, all);
        putc('\'', out);
        break;
    case WP_VALUE_ANY:
        fputs(" -x", out);
        break;
    }
}

static void end(FILE *out, const char *text) {
    fputs(" -d '", out);
    wp_value_quoted(out, text, "\\", QUOTE);
    fputs("'\n", out);
}

static void print_options(FILE *out, const struct wp_subcommand *command,
                          const struct wp_subcommand *const *all) {
    const struct wp_shared_option *shared;
    for (const struct wp_option *option = command->options; option && option->name; option++) {
        begin(out, command);
        fprintf(out, " -l %s", option->name);
        if (option->argument) print_value(out, option->argument, all);
        end(out, option->text);
    }
    for (size_t at = 0; (shared = wp_shared_option_next(command, &at));) {
        begin(out, command);
        if (shared->letter) fprintf(out, " -s %c", shared->letter);
        if (shared->name) fprintf(out, " -l %s", shared->name);
        if (shared->argument) print_value(out, shared->argument, all);
        end(out, shared->text);
    }
}

static void print_arguments(FILE *out, const struct wp_subcommand *command,
                            const struct wp_subcommand *const *all) {
    if (!command->values) return;
    begin(out, command);
    if (wp_value_kind(command->values) == WP_VALUE_FILES) {
        fputs(" -F\n", out);
        return;
    }
    fputs(" -a '", out);
    wp_value_words(out, command->values, all);
    fputs("'\n", out);
}

void wp_completion_print_fish(FILE *out, const struct wp_subcommand *const *all) {
    fputs("# Completion of warmpool in fish: warmpool help --completion fish\n\n", out);
    fputs(functions, out);
    fputs("function __warmpool_keys\n", out);
    wp_config_each_key(print_key, out);
    fputs("end\n\ncomplete -c warmpool -f\n", out);
    fputs("complete -c warmpool -n __warmpool_first -s h -l help -d 'print the list of subcommands'\n"
          "complete -c warmpool -n __warmpool_first -l version -d 'print the version'\n",
          out);
    for (size_t i = 0; all[i]; i++) {
        fprintf(out, "complete -c warmpool -n __warmpool_first -a %s", all[i]->name);
        end(out, all[i]->summary);
    }
    for (size_t i = 0; all[i]; i++) {
        print_options(out, all[i], all);
        print_arguments(out, all[i], all);
    }
}
