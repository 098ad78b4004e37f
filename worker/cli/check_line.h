/* The lines that `warmpool check` prints: one verdict each. */
#ifndef WP_CLI_CHECK_LINE_H
#define WP_CLI_CHECK_LINE_H
#include <stdio.h>
#include "core/config.h"

enum wp_verdict { WP_CHECK_OK, WP_CHECK_ADVICE, WP_CHECK_FAILED };

struct wp_check {
    const struct wp_config *config;
    FILE *out; /* borrowed */
    int failed;
};

/* Prints one line; counts it in check->failed when the verdict is WP_CHECK_FAILED. */
void wp_check_say(struct wp_check *check, enum wp_verdict verdict, const char *what, const char *format, ...)
    WP_PRINTF(4, 5);

#endif
