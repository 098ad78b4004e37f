/* Owns the slot of the pools' suites. */
#include "support/pool_suite.h"

struct pool_slot slot;

void pool_suite_start(void) {
    pool_slot_start(&slot);
    pool_host(&slot, "h1", 50, 0);
}

void pool_suite_stop(void) {
    pool_slot_stop(&slot);
}
