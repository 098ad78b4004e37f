/* The Redis functions that the worker calls: one table of base name, slot and full name (redis/README.md). */
#ifndef WP_STORE_FUNCTIONS_H
#define WP_STORE_FUNCTIONS_H
#include <stdbool.h>
#include "store/slot.h"

struct wp_function {
    const char *base;
    enum wp_slot slot;
    const char *name;
    bool read_only; /* FCALL_RO */
    bool timed;     /* its first argument is wp_calls_elapsed (redis/README.md) */
    bool events;    /* it handles events of a partition, and may fail on one of them (WPFN) */
};

/* A name that is not in the table is a bug. */
const struct wp_function *wp_function_find(enum wp_slot slot, const char *base);

#endif
