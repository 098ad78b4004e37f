/* Owns the Kafka of the runner; the tests are processes of their own and learn its address from their
 * environment. Executables that do not ask for it are linked without this file, and start none. */
#include "support/kafka_shared.h"
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdlib.h>
#include "support/kafka_server.h"

static struct kafka_server server;

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    kafka_server_start(&server);
    setenv("TEST_KAFKA", server.bootstrap, 1);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    (void)stats;
    kafka_server_stop(&server);
}

const char *kafka_shared(void) {
    return getenv("TEST_KAFKA");
}
