/* How long a test waits for what must come, before it is called hung: not a figure of the product, so it is
 * far beyond what the busiest machine needs. */
#ifndef TESTS_LIMITS_H
#define TESTS_LIMITS_H

#define WAIT_LIMIT_S 120
#define WAIT_LIMIT_MS (WAIT_LIMIT_S * 1000)
#define TEST_LIMIT_S 300 /* of one test: the .timeout of its suite */

#endif
