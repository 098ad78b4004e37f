/* What a subcommand is: one structure from which the command line is parsed, and `--help`, the man page and
 * the completion of shells are printed. Constant: any thread. */
#ifndef WP_CLI_SUBCOMMAND_H
#define WP_CLI_SUBCOMMAND_H
#include <stdbool.h>
#include <stddef.h>

/* Exit codes of every subcommand. */
enum wp_exit {
    WP_EXIT_OK = 0,
    WP_EXIT_FAILED = 1, /* the command line was right, but the work failed */
    WP_EXIT_USAGE = 2,  /* a wrong option, key or argument */
};

struct wp_option {        /* a long option of one subcommand; a name of NULL ends the list */
    const char *name;     /* "json": --json */
    const char *argument; /* "SECONDS", or NULL for a flag; "FILE", "FOLDER" and words with | between them,
                             "bash|zsh|fish", are completed */
    const char *text;     /* one phrase for --help */
    void *target; /* const char ** (borrowed from argv), or bool * for a flag; untouched when not given */
};

struct wp_subcommand {
    const char *name;                /* "send" */
    const char *summary;             /* one phrase, in the list of subcommands: "publish JSON lines" */
    const char *arguments;           /* "TOPIC", "[TOPIC...]"; empty when it takes none */
    const char *text;                /* one or two sentences for --help */
    const char *examples;            /* lines of a shell, "\n" between them; NULL: none */
    const struct wp_option *options; /* may be NULL */
    int min_args, max_args;          /* positional arguments; max_args = -1: any number */
    const char *values;    /* what completes them: "TOPIC", "FILE", "SUBCOMMAND", or words with commas
                              between them; NULL: nothing. One that may be repeated ends with "..." in
                              `arguments`; of others only the first is completed */
    bool lists_keys;       /* --help lists all keys, --reference prints docs/configuration.md (worker) */
    bool no_configuration; /* takes neither -c nor -o */
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name; returns the exit code */
};

/* An option that several subcommands have. */
struct wp_shared_option {
    char letter;          /* 'c': -c; 0: none */
    const char *name;     /* "help": --help; NULL: none */
    const char *argument; /* as of struct wp_option */
    const char *text;
};

/* The next shared option that the subcommand has; NULL after the last one. `*at` begins with 0. */
const struct wp_shared_option *wp_shared_option_next(const struct wp_subcommand *command, size_t *at);

/* The subcommand of that name; NULL when there is none. `all` ends with NULL. */
const struct wp_subcommand *wp_subcommand_find(const struct wp_subcommand *const *all, const char *name);

size_t wp_option_count(const struct wp_option *options); /* of NULL: 0 */

#endif
