/* The part of `warmpool check` that checks the sentinels of redis.url. */
#ifndef WP_CLI_CHECK_SENTINELS_H
#define WP_CLI_CHECK_SENTINELS_H
#include "cli/check_line.h"
#include "store/slot.h"

/* What each sentinel says, and what a switch may lose. Nothing where the URL names none, or is wrong. That no
 * sentinel is of use is left to the connection's own check to say. */
void wp_check_sentinels(struct wp_check *check, enum wp_slot slot);

#endif
