/* The subcommands: each has a file cli/NAME.c and a row in the table of main.c. */
#ifndef WP_CLI_COMMAND_H
#define WP_CLI_COMMAND_H

/* Exit codes of every subcommand. */
enum wp_exit {
    WP_EXIT_OK = 0,
    WP_EXIT_FAILED = 1, /* the command line was right, but the work failed */
    WP_EXIT_USAGE = 2,  /* a wrong option, key or argument */
};

/* argv[0] is the subcommand's name. Returns the exit code. */
int wp_cli_worker(int argc, char **argv);
int wp_cli_check(int argc, char **argv);
int wp_cli_send(int argc, char **argv);
int wp_cli_tail(int argc, char **argv);
int wp_cli_accept(int argc, char **argv);
int wp_cli_replay(int argc, char **argv);
int wp_cli_status(int argc, char **argv);
int wp_cli_hosts(int argc, char **argv);
int wp_cli_broker(int argc, char **argv);

#endif
