/* The completion of zsh: specifications for its function _arguments. */
#include "cli/completion_zsh.h"
#include "cli/completion_words.h"
#include "core/config.h"

#define QUOTE "'\\''"

/* ---- keys ---- */

static void print_key(void *ctx, const struct wp_config_key *key) {
    if (!key->family) fprintf(ctx, " %.*s", (int)key->name.len, key->name.ptr);
}

static void print_family(void *ctx, const struct wp_config_key *key) {
    if (key->family) fprintf(ctx, " %.*s", (int)key->name.len, key->name.ptr);
}

static void print_key_values(void *ctx, const struct wp_config_key *key) {
    if (!key->words) return;
    fprintf(ctx, "        %.*s) compadd -- ", (int)key->name.len, key->name.ptr);
    wp_value_words(ctx, key->words, NULL);
    fputs(" ;;\n", ctx);
}

static void print_keys(FILE *out) {
    fputs("_warmpool_keys() {\n    if [[ $PREFIX == *=* ]]; then\n        local key=${PREFIX%%=*}\n"
          "        compset -P '*='\n        case $key in\n",
          out);
    wp_config_each_key(print_key_values, out);
    fputs("        esac\n    else\n        compadd -S '=' --", out);
    wp_config_each_key(print_key, out);
    fputs("\n        compadd -S '' --", out);
    wp_config_each_key(print_family, out);
    fputs("\n    fi\n}\n\n", out);
}

/* ---- subcommands ---- */

/* ":FILE:_files": what it is called, and what completes it. */
static void print_action(FILE *out, const char *called, const char *value,
                         const struct wp_subcommand *const *all) {
    static const char *const actions[] = {" ", "_files", "_files -/", "_warmpool_keys", "("};
    enum wp_value_kind kind = wp_value_kind(value);
    putc(':', out);
    wp_value_quoted(out, called, ":", QUOTE);
    fprintf(out, ":%s", actions[kind]);
    if (kind != WP_VALUE_WORDS) return;
    wp_value_words(out, value, all);
    putc(')', out);
}

static void print_text(FILE *out, const char *text) {
    putc('[', out);
    wp_value_quoted(out, text, "[]\\", QUOTE);
    putc(']', out);
}

static void print_own(FILE *out, const struct wp_option *option, const struct wp_subcommand *const *all) {
    fprintf(out, " \\\n            '--%s%s", option->name, option->argument ? "=" : "");
    print_text(out, option->text);
    if (option->argument) print_action(out, option->argument, option->argument, all);
    putc('\'', out);
}

static void print_shared(FILE *out, const struct wp_shared_option *option,
                         const struct wp_subcommand *const *all) {
    if (option->letter && option->name)
        fprintf(out, " \\\n            '(-%c --%s)'{-%c,--%s}'", option->letter, option->name, option->letter,
                option->name);
    else if (option->letter)
        fprintf(out, " \\\n            '*-%c", option->letter);
    else
        fprintf(out, " \\\n            '--%s", option->name);
    print_text(out, option->text);
    if (option->argument) print_action(out, option->argument, option->argument, all);
    putc('\'', out);
}

static void print_subcommand(FILE *out, const struct wp_subcommand *command,
                             const struct wp_subcommand *const *all) {
    const struct wp_shared_option *shared;
    fprintf(out, "    %s)\n        _arguments -S", command->name);
    for (size_t i = 0; i < wp_option_count(command->options); i++) print_own(out, &command->options[i], all);
    for (size_t at = 0; (shared = wp_shared_option_next(command, &at));) print_shared(out, shared, all);
    if (command->values) {
        fprintf(out, " \\\n            '%s", wp_value_repeats(command) ? "*" : "1");
        print_action(out, command->arguments, command->values, all);
        putc('\'', out);
    }
    fputs(" ;;\n", out);
}

void wp_completion_print_zsh(FILE *out, const struct wp_subcommand *const *all) {
    fputs("#compdef warmpool\n# Completion of warmpool in zsh: warmpool help --completion zsh\n\n", out);
    print_keys(out);
    fputs("_warmpool() {\n    local -a subcommands=(\n", out);
    for (size_t i = 0; all[i]; i++) {
        fprintf(out, "        '%s:", all[i]->name);
        wp_value_quoted(out, all[i]->summary, ":\\", QUOTE);
        fputs("'\n", out);
    }
    fputs("        '--help:print the list of subcommands'\n        '--version:print the version'\n    )\n"
          "    if ((CURRENT == 2)); then\n        _describe subcommand subcommands\n        return\n    fi\n"
          "    shift words\n    ((CURRENT--))\n    case $words[1] in\n",
          out);
    for (size_t i = 0; all[i]; i++) print_subcommand(out, all[i], all);
    fputs("    esac\n}\n\nif [[ $funcstack[1] == _warmpool ]]; then\n    _warmpool \"$@\"\nelse\n"
          "    compdef _warmpool warmpool\nfi\n",
          out);
}
