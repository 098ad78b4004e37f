/* `warmpool help`: prints help, man pages and the completion of shells, all from the table of subcommands. */
#include "cli/help.h"
#include <stdio.h>
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/options.h"
#include "cli/usage.h"

static bool pages;
static const char *page, *shell;

static const struct wp_option options[] = {
    {"man", "PAGE", "print a man page: warmpool, warmpool-SUBCOMMAND or " WP_CONFIG_PAGE, &page},
    {"man-pages", NULL, "list the man pages", &pages},
    {"completion", "bash|zsh|fish", "print what completes command lines in that shell", &shell},
    {0},
};

const struct wp_subcommand wp_cli_help = {
    .name = "help",
    .summary = "say more about a subcommand",
    .arguments = "[SUBCOMMAND]",
    .text = "Prints the list of subcommands, or what one does and its options.",
    .examples = "warmpool help --man warmpool.ini | man -l -\n"
                "eval \"$(warmpool help --completion bash)\"",
    .options = options,
    .max_args = 1,
    .values = "SUBCOMMAND",
    .no_configuration = true, /* .run is NULL: wp_help_run */
};

static int help_about(const struct wp_subcommand *const *all, const char *name) {
    const struct wp_subcommand *command = wp_subcommand_find(all, name);
    if (!command) return wp_usage_refuse(name);
    wp_usage_print(stdout, command);
    return WP_EXIT_OK;
}

static int print_page(const struct wp_subcommand *const *all) {
    struct wp_error error;
    if (wp_manual_print(stdout, all, page)) return WP_EXIT_OK;
    wp_fail(&error, WP_ERR_CONFIG, "there is no man page %.100s; `warmpool help --man-pages` lists them",
            page);
    return wp_options_fail(&wp_cli_help, WP_EXIT_USAGE, &error);
}

static int print_completion(const struct wp_subcommand *const *all) {
    struct wp_error error;
    if (wp_completion_print(stdout, all, shell)) return WP_EXIT_OK;
    wp_fail(&error, WP_ERR_CONFIG, "--completion must be bash, zsh or fish, not %.100s", shell);
    return wp_options_fail(&wp_cli_help, WP_EXIT_USAGE, &error);
}

int wp_help_run(const struct wp_subcommand *const *all, int argc, char **argv) {
    struct wp_parsed parsed;
    int code;
    if (!wp_options_parse(&wp_cli_help, argc, argv, NULL, &parsed, &code)) return code;
    if (page) return print_page(all);
    if (shell) return print_completion(all);
    if (pages) {
        wp_manual_list(stdout, all);
        return WP_EXIT_OK;
    }
    if (parsed.count) return help_about(all, parsed.args[0]);
    wp_usage_print_all(stdout, all);
    return WP_EXIT_OK;
}
