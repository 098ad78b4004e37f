/* What a recovery reads is opened and closed without the loop's waiting for Kafka. */
#include <criterion/criterion.h>
#include "pipeline/recover_logs.h"
#include "support/kafka_reader.h"

TestSuite(recover_logs, .timeout = TEST_LIMIT_S);

#define NOBODY "127.0.0.1:1" /* no broker listens there */
#define TICK_MS 10

struct seen {
    int ticks, opened;
    char error[256];
};

static void on_tick(uv_timer_t *timer) {
    ((struct seen *)timer->data)->ticks++;
}

static void on_opened(void *ctx, const char *error) {
    struct seen *seen = ctx;
    seen->opened++;
    if (error) (void)snprintf(seen->error, sizeof seen->error, "%s", error);
}

static struct recover_logs *open_without_broker(uv_loop_t *loop, struct seen *seen) {
    static struct wp_config config;
    struct wp_error error;
    struct recover_logs *logs = NULL;
    bus_config(&config, NOBODY, "recover");
    cr_assert_eq(recover_logs_open(&logs, loop, &config, on_opened, seen, &error), WP_OK, "%s", error.text);
    return logs;
}

Test(recover_logs, the_loop_goes_on_while_kafka_does_not_answer) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct seen seen = {0};
    struct recover_logs *logs = open_without_broker(&loop, &seen);
    uv_timer_t timer = {.data = &seen};
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_tick, TICK_MS, TICK_MS);
    RUN_UNTIL(&loop, seen.opened > 0);
    cr_expect_gt(seen.ticks, 10);
    cr_expect_eq(seen.opened, 1);
    cr_expect(strstr(seen.error, "container-acquire"), "%s", seen.error);
    recover_logs_close(logs);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&loop), 0);
}

Test(recover_logs, one_that_is_closed_while_it_opens_says_nothing_more) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct seen seen = {0};
    recover_logs_close(open_without_broker(&loop, &seen));
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(seen.opened, 0);
    cr_expect_eq(uv_loop_close(&loop), 0);
}
