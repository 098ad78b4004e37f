/* The part of `warmpool check` that looks at a Redis. */
#ifndef WP_CLI_CHECK_REDIS_H
#define WP_CLI_CHECK_REDIS_H
#include "cli/check_line.h"
#include "store/link.h"

/* Connection, version, role, permissions, and how it is set up. Changes nothing in it. */
void wp_check_redis(struct wp_check *check, enum wp_slot slot);

#endif
