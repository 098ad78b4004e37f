/* Ends a worker whose stop takes too long. */
#ifndef WP_CLI_LAST_RESORT_H
#define WP_CLI_LAST_RESORT_H
#include <stdint.h>

/* Ends the process after ms (0: after a second), even if the loop is blocked. The next worker does what is
 * not finished. */
void wp_end_in_any_case(int64_t ms);

#endif
