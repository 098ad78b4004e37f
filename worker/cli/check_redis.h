/* The part of `warmpool check` that looks at a Redis. */
#ifndef WP_CLI_CHECK_REDIS_H
#define WP_CLI_CHECK_REDIS_H
#include <stdio.h>
#include "store/link.h"

enum wp_verdict { WP_CHECK_OK, WP_CHECK_ADVICE, WP_CHECK_FAILED };

struct wp_check {
    const struct wp_config *config;
    FILE *out; /* borrowed */
    int failed;
};

/* Prints one line, and counts what failed. */
void wp_check_say(struct wp_check *check, enum wp_verdict verdict, const char *what, const char *format, ...)
    WP_PRINTF(4, 5);

/* Connection, version, role, permissions, and how it is set up. Changes nothing in it. */
void wp_check_redis(struct wp_check *check, enum wp_slot slot);

#endif
