/* The part of `warmpool check` that checks a Redis server. */
#ifndef WP_CLI_CHECK_REDIS_H
#define WP_CLI_CHECK_REDIS_H
#include "cli/check_line.h"
#include "store/link.h"

/* Checks connection, version, role, permissions and settings. Changes nothing. */
void wp_check_redis(struct wp_check *check, enum wp_slot slot);

#endif
