/* The terminal that controls the process. */
#ifndef WP_CLI_TERMINAL_H
#define WP_CLI_TERMINAL_H
#include <stdbool.h>

/* True when there is none: there never was one, or it has hung up. */
bool wp_terminal_is_gone(void);

#endif
