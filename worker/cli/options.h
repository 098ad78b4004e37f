/* The command line that every subcommand shares: -c FILE, -o section.key=value, --help, and the subcommand's
 * own options (cli/subcommand.h). */
#ifndef WP_CLI_OPTIONS_H
#define WP_CLI_OPTIONS_H
#include "cli/subcommand.h"
#include "core/config_sources.h"

struct wp_parsed {
    char **args; /* positional arguments, borrowed from argv */
    int count;
};

/* Fills *config from the defaults, -c FILE, the environment and -o, in this order, checks it and sets the log
 * level. Returns true to go on; the caller then owns config (wp_config_done). On false, help (stdout) or the
 * error (one sentence on stderr) has been printed, nothing is owned, and *ret_exit is the exit code. config
 * is NULL of a subcommand without configuration, and of no other. */
bool wp_options_parse(const struct wp_subcommand *command, int argc, char **argv, struct wp_config *config,
                      struct wp_parsed *ret, int *ret_exit);

/* The same; the caller then owns *ret_sources, too (wp_config_sources_done), which borrow from argv. */
bool wp_options_parse_sources(const struct wp_subcommand *command, int argc, char **argv,
                              struct wp_config *config, struct wp_parsed *ret,
                              struct wp_config_sources *ret_sources, int *ret_exit);
void wp_options_apply_log(const struct wp_config *config); /* puts log.* in force */

/* Prints "warmpool COMMAND: sentence" on stderr and returns code, for `return wp_options_fail(...)`. */
int wp_options_fail(const struct wp_subcommand *command, int code, const struct wp_error *error);

#endif
