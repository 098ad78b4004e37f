/* The terminal, by ncurses: shows a grid, gives keys, and is put back at any end. One a process; the thread
 * that opened it. */
#ifndef WP_TOP_TERMINAL_H
#define WP_TOP_TERMINAL_H
#include "top/grid.h"

/* Takes over the terminal at standard input and output. WP_ERR_SYSTEM: there is none that it can draw on; the
 * sentence says what to do instead, and nothing was changed. */
enum wp_err top_terminal_open(struct wp_error *error) WP_MUST_CHECK;
/* Puts the terminal back. */
void top_terminal_close(void);
void top_terminal_size(int *ret_rows, int *ret_cols);
/* Sends what differs from what is shown. */
void top_terminal_draw(const struct top_grid *grid);
/* Waits until a key was pressed, `fd` is readable, the size has changed, the terminal is to be left, or
 * timeout_ms is over. Stops the process on SIGTSTP, with the terminal put back meanwhile. */
void top_terminal_wait(int fd, int timeout_ms);
/* The next key that was pressed, as in top/keys.h; 0: none. */
uint32_t top_terminal_key(void);
/* True when SIGINT, SIGTERM, SIGHUP or SIGQUIT came, or the terminal is gone. */
bool top_terminal_ended(void);

#endif
