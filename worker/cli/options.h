/* The command line that every subcommand shares: -c FILE, -o section.key=value, --help, and the subcommand's
 * own options. */
#ifndef WP_CLI_OPTIONS_H
#define WP_CLI_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include "core/config.h"

struct wp_option {        /* a long option of one subcommand; a name of NULL ends the list */
    const char *name;     /* "json": --json */
    const char *argument; /* "SECONDS", or NULL for a flag */
    const char *text;     /* one phrase for --help */
    void *target; /* const char ** (borrowed from argv), or bool * for a flag; untouched when not given */
};

struct wp_subcommand {
    const char *name;                /* "send" */
    const char *arguments;           /* "TOPIC", "[TOPIC...]"; empty when it takes none */
    const char *text;                /* one or two sentences for --help */
    const struct wp_option *options; /* may be NULL */
    int min_args, max_args;          /* positional arguments; max_args = -1: any number */
    bool lists_keys; /* --help lists all keys, --reference prints docs/configuration.md (worker) */
};

struct wp_parsed {
    char **args; /* positional arguments, borrowed from argv */
    int count;
};

/* Fills *config from the defaults, -c FILE, the environment and -o, in this order, checks it and sets the log
 * level. Returns true to go on; the caller then owns config (wp_config_done). On false, help (stdout) or the
 * error (one sentence on stderr) has been printed, nothing is owned, and *ret_exit is the exit code. */
bool wp_options_parse(const struct wp_subcommand *command, int argc, char **argv, struct wp_config *config,
                      struct wp_parsed *ret, int *ret_exit);

/* Prints "warmpool COMMAND: sentence" on stderr and returns code, for `return wp_options_fail(...)`. */
int wp_options_fail(const struct wp_subcommand *command, int code, const struct wp_error *error);

#endif
