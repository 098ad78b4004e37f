/* `warmpool help`: prints help, man pages and the completion of shells, all from the table of subcommands. */
#include "cli/help.h"
#include <stdio.h>
#include "cli/command.h"
#include "cli/options.h"
#include "cli/usage.h"

const struct wp_subcommand wp_cli_help = {
    .name = "help",
    .summary = "say more about a subcommand",
    .arguments = "[SUBCOMMAND]",
    .text = "Prints the list of subcommands, or what one does and its options.",
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

int wp_help_run(const struct wp_subcommand *const *all, int argc, char **argv) {
    struct wp_parsed parsed;
    int code;
    if (!wp_options_parse(&wp_cli_help, argc, argv, NULL, &parsed, &code)) return code;
    if (parsed.count) return help_about(all, parsed.args[0]);
    wp_usage_print_all(stdout, all);
    return WP_EXIT_OK;
}
