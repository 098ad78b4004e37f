/* Does all that the {pool} slot holds agree? Everything that is counted or listed is computed again from the
 * containers and requests, read raw from Redis, without the functions. Fails the test when it does not. */
#ifndef TEST_SUPPORT_POOL_CHECK_H
#define TEST_SUPPORT_POOL_CHECK_H
#include "support/redis.h"

void pool_check(struct test_redis *redis);
/* Is a container made for everybody who waits, as far as there is room? Holds when nothing is left to be
 * continued. */
void pool_check_restored(struct test_redis *redis, int max_containers);
/* Has each pool so many idle containers that any request could get? */
void pool_check_ready(struct test_redis *redis, int count);

#endif
