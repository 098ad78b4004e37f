/* The process driver against the kernel: a container's limits, its death and its end with all it has started.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "core/clock.h"
#include "support/limits.h"
#include "support/process.h"
#include "support/runtime_bench.h"

TestSuite(process_end, .timeout = TEST_LIMIT_S);

Test(process_end, destroying_an_unknown_name_says_gone) {
    struct bench *bench = bench_open(FOREVER);
    bench_destroy_until_gone(bench, "never");
    bench_close(bench);
}

Test(process_end, a_death_is_reported_once_with_its_reason) {
    struct bench *bench = bench_open(FOREVER);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    kill(bench_pid(bench_last(bench)), SIGKILL);
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(bench)->detail, "killed: the process was ended by signal 9");
    bench_destroy(bench, "a"); /* it is gone already */
    bench_wait(bench, 3);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_GONE);
    bench_nothing_more(bench, 50);
    bench_close(bench);
}

Test(process_end, memory_past_the_limit_is_refused) {
    struct bench *bench = bench_new("true");
    char command[512]; /* dd allocates one buffer of the size of a block */
    snprintf(command, sizeof command,
             "dd if=/dev/zero of=/dev/null bs=32M count=1 && echo 0 > %s/small; dd if=/dev/zero of=/dev/null "
             "bs=96M count=1; "
             "echo $? > %s/large; " FOREVER,
             bench->dir, bench->dir);
    bench_set(bench, "process.command", command);
    bench_open_runtime(bench);
    bench_create_sized(bench, "a", 64);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY);
    cr_assert_neq(bench_wait_number(bench, "large"), 0);
    cr_assert_eq(bench_wait_number(bench, "small"), 0);
    bench_close(bench);
}

Test(process_end, a_limit_too_small_for_a_shell_is_raised_and_none_is_no_limit) {
    struct bench *bench = bench_open(FOREVER);
    bench_create_sized(bench, "tiny", 0.001);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY);
    struct rlimit limit;
    cr_assert_eq(prlimit(bench_pid(bench_last(bench)), RLIMIT_DATA, NULL, &limit), 0);
    cr_assert_eq(limit.rlim_cur, 4u << 20);
    bench_create_sized(bench, "free", NAN);
    bench_wait(bench, 2);
    cr_assert_eq(prlimit(bench_pid(bench_last(bench)), RLIMIT_DATA, NULL, &limit), 0);
    cr_assert_eq(limit.rlim_cur, RLIM_INFINITY);
    bench_close(bench);
}

Test(process_end, grandchildren_end_with_their_container) {
    struct bench *bench = bench_new("true");
    char command[512];
    snprintf(command, sizeof command,
             "sh -c 'trap : TERM; echo $$ > %s/grandchild; while :; do sleep 1000; done' & " FOREVER,
             bench->dir);
    bench_set(bench, "process.command", command);
    bench_open_runtime(bench);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    pid_t grandchild = bench_wait_number(bench, "grandchild");
    cr_assert_not(process_is_dead(grandchild));
    kill(bench_pid(bench_last(bench)), SIGKILL); /* also when the container dies by itself */
    bench_wait(bench, 2);
    process_wait_dead(grandchild);
    bench_close(bench);
}

static struct bench *far_bench(void) {
    struct bench *bench = bench_new("true");
    char command[512];
    snprintf(command, sizeof command, FAR "echo >&3; " FOREVER, bench->dir, bench->dir);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    bench_open_runtime(bench);
    return bench;
}

Test(process_end, descendants_in_other_sessions_end_with_their_container) {
    struct bench *bench = far_bench();
    bench_create_until(bench, "destroyed", WP_CONTAINER_READY);
    pid_t far = bench_wait_number(bench, "far"), orphan = bench_wait_number(bench, "orphan");
    cr_assert_neq(getsid(far), getsid(bench_pid(bench_last(bench))));
    cr_assert_not(process_is_dead(far) || process_is_dead(orphan));
    bench_destroy_until_gone(bench, "destroyed");
    cr_assert(process_is_dead(far) && process_is_dead(orphan), "gone means all of it");
    bench_close(bench);
}

Test(process_end, descendants_in_other_sessions_end_when_their_container_dies) {
    struct bench *bench = far_bench();
    bench_create_until(bench, "dies", WP_CONTAINER_READY);
    pid_t far = bench_wait_number(bench, "far"), orphan = bench_wait_number(bench, "orphan");
    kill(bench_pid(bench_last(bench)), SIGTERM);
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(bench)->detail, "killed: the process was ended by signal 15");
    cr_assert(process_is_dead(far) && process_is_dead(orphan));
    bench_close(bench);
}

Test(process_end, one_that_ignores_sigterm_is_killed_after_the_grace) {
    struct bench *bench = bench_open_notify("trap '' TERM; echo >&3; while :; do sleep 1000; done");
    bench_create_until(bench, "stubborn", WP_CONTAINER_READY);
    pid_t pid = bench_pid(bench_last(bench));
    int64_t began = wp_clock_us();
    bench_destroy_until_gone(bench, "stubborn");
    cr_assert(process_is_dead(pid));
    cr_assert(wp_clock_us() - began >= 900000, "killed without the grace");
    bench_close(bench);
}

Test(process_end, destroying_one_that_starts_or_waits_to_start) {
    struct bench *bench = bench_new(FOREVER);
    bench_set(bench, "process.ready", "notify");
    bench_set(bench, "host.creates", "1");
    bench_open_runtime(bench);
    bench_create(bench, "starting");
    bench_create(bench, "queued");
    bench_destroy_until_gone(bench, "queued");
    bench_destroy_until_gone(bench, "starting");
    bench_close(bench);
}

Test(process_end, close_ends_all_of_them_the_stubborn_ones_too) {
    struct bench *bench = bench_open_notify("trap '' TERM; echo >&3; while :; do sleep 1000; done");
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    bench_create_until(bench, "b", WP_CONTAINER_READY);
    pid_t a = bench_pid(&bench->told[0]), b = bench_pid(&bench->told[1]);
    bench_create(bench, "starting");
    int64_t began = wp_clock_us();
    bench_close(bench);
    cr_assert(wp_clock_us() - began < WAIT_LIMIT_S * INT64_C(1000000));
    cr_assert(process_is_dead(a) && process_is_dead(b));
}
