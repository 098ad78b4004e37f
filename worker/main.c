/* The table of subcommands, nothing else. */
#include <stdio.h>
#include <string.h>
#include "cli/command.h"
#include "cli/help.h"
#include "cli/inherited.h"
#include "cli/usage.h"

static const struct wp_subcommand *const subcommands[] = {
    &wp_cli_worker, &wp_cli_check, &wp_cli_reload, &wp_cli_send,   &wp_cli_tail,
    &wp_cli_status, &wp_cli_hosts, &wp_cli_top,    &wp_cli_accept, &wp_cli_replay,
    &wp_cli_broker, &wp_cli_help,  NULL,
};

static int run(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        wp_usage_print_all(stdout, subcommands);
        return WP_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("warmpool " WP_VERSION);
        return WP_EXIT_OK;
    }
    if (strcmp(name, wp_cli_help.name) == 0) return wp_help_run(subcommands, argc - 1, argv + 1);
    const struct wp_subcommand *command = wp_subcommand_find(subcommands, name);
    return command ? command->run(argc - 1, argv + 1) : wp_usage_refuse(name);
}

int main(int argc, char **argv) {
    wp_inherited_mend();
    return wp_output_end(run(argc, argv));
}
