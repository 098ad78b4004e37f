/* What a process inherits from the one that started it, made fit for every subcommand, and the end of its
 * standard output. */
#ifndef WP_CLI_INHERITED_H
#define WP_CLI_INHERITED_H

/* To be called first, while there is one thread. Opens standard descriptors that are closed, ignores SIGPIPE,
 * and takes back what the starter has blocked or ignored. */
void wp_inherited_mend(void);

/* SIGINT and SIGTERM call the handler once; a second one ends the process. */
void wp_catch_interrupt(void (*handler)(int number));

/* To be called last. Flushes standard output and returns the exit code: `code`, or WP_EXIT_FAILED with a
 * sentence on stderr when something could not be written. A reader that went away is no failure. */
int wp_output_end(int code);

#endif
