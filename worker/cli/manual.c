/* The man pages, from the table of subcommands, their options and, by core/config_man.c, the table of keys.
 */
#include "cli/manual.h"
#include <string.h>
#include "core/config.h"
#include "core/roff.h"

/* ---- options ---- */

static void print_tag(FILE *out, char letter, const char *name, const char *argument) {
    fputs(".TP\n", out);
    if (letter) fprintf(out, "\\fB\\-%c\\fR%s", letter, name ? ", " : "");
    if (name) {
        fputs("\\fB\\-\\-", out);
        wp_roff_word(out, name, strlen(name));
        fputs("\\fR", out);
    }
    if (argument) {
        fputs(" \\fI", out);
        wp_roff_word(out, argument, strlen(argument));
        fputs("\\fR", out);
    }
    putc('\n', out);
}

static void print_options(FILE *out, const struct wp_subcommand *command) {
    wp_roff_section(out, "OPTIONS");
    for (size_t i = 0; i < wp_option_count(command->options); i++) {
        print_tag(out, 0, command->options[i].name, command->options[i].argument);
        wp_roff_text(out, command->options[i].text);
    }
    const struct wp_shared_option *option;
    for (size_t at = 0; (option = wp_shared_option_next(command, &at));) {
        print_tag(out, option->letter, option->name, option->argument);
        wp_roff_text(out, option->text);
    }
}

/* ---- what every page says ---- */

static void print_exit_status(FILE *out) {
    wp_roff_section(out, "EXIT STATUS");
    fputs(".TP\n.B 0\nIt did what it should.\n.TP\n.B 1\nThat did not work out.\n"
          ".TP\n.B 2\nA wrong option, key or argument.\n.PP\n"
          "The reason is one sentence on standard error.\n",
          out);
}

static void print_environment(FILE *out) {
    wp_roff_section(out, "ENVIRONMENT");
    wp_roff_text(out, "Every key may be set by `WARMPOOL_SECTION_KEY`: `WARMPOOL_REDIS_URL` is `redis.url`. "
                      "These win over the file, and `-o` over them.");
}

/* ---- warmpool(1) ---- */

static void print_program(FILE *out, const struct wp_subcommand *const *all) {
    wp_roff_begin(out, "warmpool", "1", "warm containers and a shared cache for AI agents");
    wp_roff_section(out, "SYNOPSIS");
    fputs(".B warmpool\n.I SUBCOMMAND\n.RI [ OPTION ]...\n.br\n.B warmpool \\-\\-version\n", out);
    wp_roff_section(out, "DESCRIPTION");
    wp_roff_text(
        out, "A worker that reads events from Kafka, keeps warm containers ready for each kind of agent, and "
             "hands one to every agent that asks; all shared state is in Redis. The other subcommands try a "
             "configuration, publish and read events, and show what workers have.");
    wp_roff_section(out, "SUBCOMMANDS");
    for (; *all; all++) {
        fputs(".TP\n.BR warmpool\\-", out);
        wp_roff_word(out, (*all)->name, strlen((*all)->name));
        fputs(" (1)\n", out);
        wp_roff_text(out, (*all)->summary);
    }
    print_environment(out);
    print_exit_status(out);
    fputs(".SH \"SEE ALSO\"\n.BR warmpool.ini (5)\n", out);
}

/* ---- warmpool-NAME(1) ---- */

static void print_synopsis(FILE *out, const struct wp_subcommand *command) {
    wp_roff_section(out, "SYNOPSIS");
    fputs(".B warmpool ", out);
    wp_roff_word(out, command->name, strlen(command->name));
    fputs("\n.RI [ OPTION ]...\n", out);
    if (!*command->arguments) return;
    fputs(".I ", out);
    wp_roff_word(out, command->arguments, strlen(command->arguments));
    putc('\n', out);
}

static void print_subcommand(FILE *out, const struct wp_subcommand *command) {
    char name[64];
    snprintf(name, sizeof(name), "warmpool-%s", command->name);
    wp_roff_begin(out, name, "1", command->summary);
    print_synopsis(out, command);
    wp_roff_section(out, "DESCRIPTION");
    wp_roff_text(out, command->text);
    print_options(out, command);
    if (command->examples) {
        wp_roff_section(out, "EXAMPLES");
        wp_roff_lines(out, command->examples, strlen(command->examples));
    }
    if (!command->no_configuration) print_environment(out);
    print_exit_status(out);
    fputs(".SH \"SEE ALSO\"\n.BR warmpool (1),\n.BR warmpool.ini (5)\n", out);
}

/* ---- which page ---- */

void wp_manual_list(FILE *out, const struct wp_subcommand *const *all) {
    fputs("warmpool.1\n" WP_CONFIG_PAGE ".5\n", out);
    for (; *all; all++) fprintf(out, "warmpool-%s.1\n", (*all)->name);
}

/* Is `page` this name, with or without its section? */
static bool is_page(const char *page, const char *name, const char *section) {
    size_t length = strlen(name);
    return strncmp(page, name, length) == 0 && (!page[length] || strcmp(page + length, section) == 0);
}

bool wp_manual_print(FILE *out, const struct wp_subcommand *const *all, const char *page) {
    if (is_page(page, "warmpool", ".1")) {
        print_program(out, all);
        return true;
    }
    if (is_page(page, WP_CONFIG_PAGE, ".5")) {
        wp_config_print_man(out);
        return true;
    }
    static const char prefix[] = "warmpool-";
    if (strncmp(page, prefix, sizeof(prefix) - 1) != 0) return false;
    for (; *all; all++) {
        if (!is_page(page + sizeof(prefix) - 1, (*all)->name, ".1")) continue;
        print_subcommand(out, *all);
        return true;
    }
    return false;
}
