/* Names that only one live worker may have: worker.id and host.name. A heartbeat goes by the slot's own time.
 */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(pool_names);

#define LASTS "4000000"

enum { SECOND = 1000000 };

/* Who has one of the names, as `hold` tells the caller; "" when the caller has them all now. */
static const char *hold(const char *owner, const char *lasts, const char *name, const char *other) {
    static char text[100];
    redisReply *reply = test_redis_command(&slot.redis, "FCALL wp_hold_v2 1 wp:{pool} %s %s %s %s %s %s", "0",
                                           owner, lasts, owner, name, other);
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY, "%s", reply->str);
    snprintf(text, sizeof text, "%s%s%s", reply->elements ? reply->element[0]->str : "",
             reply->elements ? " of " : "", reply->elements ? reply->element[1]->str : "");
    freeReplyObject(reply);
    return text;
}

/* So much time passes; `elapsed` as a caller's own clock saw it. */
static void pass(int64_t us) {
    freeReplyObject(test_redis_command(&slot.redis, "HINCRBY wp:{pool}:meta time %lld", (long long)-us));
    freeReplyObject(test_redis_command(&slot.redis, "FCALL wp_tick_v2 1 wp:{pool} %lld", (long long)us));
}

Test(pool_names, the_first_one_has_its_names_until_it_gives_them_back) {
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "");
    cr_expect_str_eq(hold("b", LASTS, "worker.id two", "host.name h1"), "host.name h1 of a");
    cr_expect_str_eq(hold("c", LASTS, "worker.id two", "host.name h2"), "", "b has got none of them");
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "");
    cr_expect_str_eq(hold("a", "0", "worker.id one", "host.name h1"), "");
    cr_expect_str_eq(hold("d", LASTS, "worker.id one", "host.name h1"), "");
    cr_expect_str_eq(hold("a", "0", "worker.id one", "host.name h1"), "worker.id one of d", "it is not a's");
    cr_expect_str_eq(hold("b", LASTS, "worker.id one", "host.name h1"), "worker.id one of d");
}

Test(pool_names, of_a_silent_one_they_are_free_when_its_heartbeat_is_over) {
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "");
    for (int second = 0; second < 3; second++) pass(SECOND);
    cr_expect_str_eq(hold("b", LASTS, "worker.id one", "host.name h1"), "worker.id one of a");
    pass(SECOND);
    pass(SECOND);
    cr_expect_str_eq(hold("b", LASTS, "worker.id one", "host.name h1"), "");
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "worker.id one of b");
}

Test(pool_names, an_outage_of_redis_is_not_silence) {
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "");
    pass(60 * INT64_C(1000000));
    cr_expect_str_eq(hold("b", LASTS, "worker.id one", "host.name h1"), "worker.id one of a");
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "");
}

Test(pool_names, those_of_workers_that_died_are_not_kept_for_ever) {
    for (int i = 0; i < 10; i++) {
        char id[20], host[20], owner[20];
        snprintf(id, sizeof id, "worker.id w%d", i);
        snprintf(host, sizeof host, "host.name h%d", i);
        snprintf(owner, sizeof owner, "owner%d", i);
        cr_expect_str_eq(hold(owner, LASTS, id, host), "");
    }
    for (int second = 0; second < 5; second++) pass(SECOND);
    cr_expect_str_eq(hold("a", LASTS, "worker.id one", "host.name h1"), "");
    cr_expect_eq(test_redis_int(&slot.redis, "HLEN wp:{pool}:names"), 2);
}
