/* What the process driver ends between two uses of a container: all processes that were not there when it
 * became ready. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "core/buf.h"
#include "support/process.h"
#include "support/runtime_bench.h"

TestSuite(process_clean, .timeout = TEST_LIMIT_S);

static void clean(struct bench *bench) {
    int before = bench->count;
    bench->in_verb++;
    bench->driver->clean(bench->runtime, WP_STR("a"));
    bench->in_verb--;
    bench_wait(bench, before + 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_CLEANED, "%s", bench_last(bench)->detail);
}

/* Ready with a child of its own, it begins others all the time; on SIGUSR1 it does what a user does. */
static struct bench *open_with(const char *format) {
    struct bench *bench = bench_new("true");
    char path[128];
    snprintf(path, sizeof path, "%s/main", bench->dir);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fprintf(file, "use() {\n%s\n:\n}\n", format);
    fprintf(file, "sleep 1000 & echo $! > own\ntrap use USR1\necho >&$WARMPOOL_READY_FD\nwhile :; do sleep "
                  "0.01; done\n");
    fclose(file);
    char *command = wp_format("cd %s; exec sh ./main", bench->dir);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    free(command);
    bench_open_runtime(bench);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    return bench;
}

static pid_t use(struct bench *bench) {
    kill(bench_pid(&bench->told[0]), SIGUSR1);
    return bench_wait_number(bench, "left");
}

static void check_own(struct bench *bench) {
    cr_expect_not(process_is_dead(bench_pid(&bench->told[0])));
    cr_expect_not(process_is_dead(bench_wait_number(bench, "own")));
}

Test(process_clean, a_child_is_ended_and_what_was_there_stays) {
    struct bench *bench = open_with("sleep 1000 & echo $! > left");
    pid_t left = use(bench);
    cr_assert_not(process_is_dead(left));
    clean(bench);
    cr_expect(process_is_dead(left));
    check_own(bench);
    clean(bench); /* with nothing to end */
    check_own(bench);
    bench_close(bench);
}

Test(process_clean, one_in_a_session_of_its_own_without_a_parent_is_ended) {
    struct bench *bench =
        open_with("(setsid sh -c 'trap : TERM HUP; echo $$ > left; while :; do sleep 1000; done' &)");
    pid_t left = use(bench);
    cr_assert_not(process_is_dead(left));
    clean(bench);
    cr_expect(process_is_dead(left));
    check_own(bench);
    bench_close(bench);
}

Test(process_clean, those_that_begin_others_all_the_time_are_ended) {
    struct bench *bench = open_with("echo 'sleep 0.001; [ -e stop ] || sh ./hop & exit 0' > hop\n(setsid sh "
                                    "-c 'echo $$ > left; exec sh ./hop' &)");
    use(bench);
    clean(bench);
    check_own(bench);
    bench_close(bench);
}
