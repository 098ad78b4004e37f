/* The subcommands: each has a file cli/NAME.c and a row in the table of main.c, which is all that a new one
 * needs for its place in `warmpool --help`, its man page and its completion. */
#ifndef WP_CLI_COMMAND_H
#define WP_CLI_COMMAND_H
#include "cli/subcommand.h"

extern const struct wp_subcommand wp_cli_worker, wp_cli_check, wp_cli_send, wp_cli_tail, wp_cli_accept,
    wp_cli_replay, wp_cli_reload, wp_cli_status, wp_cli_hosts, wp_cli_top, wp_cli_broker, wp_cli_help;

#endif
