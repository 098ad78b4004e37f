/* A suite whose tests each begin with a {pool} slot of their own and one host, h1, of 50 containers. */
#ifndef TEST_SUPPORT_POOL_SUITE_H
#define TEST_SUPPORT_POOL_SUITE_H
#include "support/limits.h"
#include "support/pool_slot.h"

extern struct pool_slot slot; /* of the test that runs */

void pool_suite_start(void);
void pool_suite_stop(void);

#define POOL_SUITE(name)                                                                                     \
    TestSuite(name, .init = pool_suite_start, .fini = pool_suite_stop, .timeout = TEST_LIMIT_S)

#endif
