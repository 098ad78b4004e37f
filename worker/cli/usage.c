/* `--help`, from the table of subcommands and their options. */
#include "cli/usage.h"
#include "core/config.h"

static void print_option(FILE *out, const char *name, const char *argument, const char *text) {
    char left[64];
    snprintf(left, sizeof(left), "%s%s%s", name, argument ? " " : "", argument ? argument : "");
    fprintf(out, "  %-26s %s\n", left, text);
}

static void print_own(FILE *out, const struct wp_option *options) {
    for (size_t i = 0; i < wp_option_count(options); i++) {
        char name[40];
        snprintf(name, sizeof(name), "--%s", options[i].name);
        print_option(out, name, options[i].argument, options[i].text);
    }
}

static void print_shared(FILE *out, const struct wp_subcommand *command) {
    const struct wp_shared_option *option;
    for (size_t at = 0; (option = wp_shared_option_next(command, &at));) {
        char name[40] = "", letter[3] = {'-', option->letter, '\0'};
        if (option->name)
            snprintf(name, sizeof(name), "%s%s--%s", option->letter ? letter : "", option->letter ? ", " : "",
                     option->name);
        print_option(out, option->name ? name : letter, option->argument, option->text);
    }
}

static void print_examples(FILE *out, const char *examples) {
    fputs("\nExamples:\n  ", out);
    for (; *examples; examples++) {
        putc(*examples, out);
        if (*examples == '\n') fputs("  ", out);
    }
    putc('\n', out);
}

void wp_usage_print(FILE *out, const struct wp_subcommand *command) {
    fprintf(out, "Usage: warmpool %s [OPTION]...%s%s\n\n%s\n\nOptions:\n", command->name,
            *command->arguments ? " " : "", command->arguments, command->text);
    print_own(out, command->options);
    print_shared(out, command);
    if (command->examples) print_examples(out, command->examples);
    if (command->no_configuration) return;
    putc('\n', out);
    if (command->lists_keys)
        wp_config_print_help(out);
    else
        fputs("All keys are listed by `warmpool worker --help`.\n", out);
}

void wp_usage_print_all(FILE *out, const struct wp_subcommand *const *all) {
    fputs("Usage: warmpool SUBCOMMAND [OPTION]...\n"
          "\n"
          "Warm containers, a shared cache and predictions for AI agents, driven by Kafka.\n"
          "\n"
          "Subcommands:\n",
          out);
    for (; *all; all++) fprintf(out, "  %-8s %s\n", (*all)->name, (*all)->summary);
    fputs("\n`warmpool help SUBCOMMAND` says more; `warmpool --version` prints the version.\n", out);
}

int wp_usage_refuse(const char *name) {
    fprintf(stderr, "warmpool: %s is not a subcommand; see `warmpool --help`\n", name);
    return WP_EXIT_USAGE;
}
