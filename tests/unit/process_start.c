/* The process driver against the kernel: how a container starts, when it is ready, and how a start fails. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/clock.h"
#include "support/process.h"
#include "support/runtime_bench.h"

TestSuite(process_start, .timeout = TEST_LIMIT_S);

Test(process_start, a_driver_is_found_by_its_name_and_no_other) {
    cr_assert_eq(wp_runtime_driver_find("process"), &wp_runtime_process);
    cr_assert_null(wp_runtime_driver_find("docker2"));
}

Test(process_start, a_created_container_is_a_running_process_in_its_own_group) {
    struct bench *bench = bench_open(FOREVER);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    pid_t pid = bench_pid(bench_last(bench));
    cr_assert_not(process_is_dead(pid));
    cr_assert_eq(getpgid(pid), pid);
    bench_destroy(bench, "a");
    bench_destroy(bench, "a"); /* once more changes nothing */
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_GONE);
    cr_assert(process_is_dead(pid));
    bench_nothing_more(bench, 100);
    bench_close(bench);
}

Test(process_start, a_command_that_ends_at_once_was_never_ready) {
    struct bench *bench =
        bench_new("case $WARMPOOL_CONTAINER_ID in short) sleep 0.1; exit 3;; esac; nowhere-to-be-found");
    bench_set(bench, "process.ready_after_ms", "60000");
    bench_open_runtime(bench);
    bench_create_fails(bench, "not-found", "the process exited with status 127 before it was ready");
    bench_create_fails(bench, "short", "the process exited with status 3 before it was ready");
    bench_close(bench);
}

Test(process_start, one_that_runs_is_ready_after_the_time_asked_for) {
    struct bench *bench = bench_new(FOREVER);
    bench_set(bench, "process.ready_after_ms", "200");
    bench_open_runtime(bench);
    int64_t began = wp_clock_us();
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    cr_assert_geq(wp_clock_us() - began, 200000);
    bench_create(bench, "ended-meanwhile");
    bench_destroy_until_gone(bench, "ended-meanwhile");
    bench_nothing_more(bench, 300);
    bench_close(bench);
}

Test(process_start, the_child_has_its_names_and_nothing_of_the_worker) {
    setenv("WARMPOOL_REDIS_URL", "redis://:secret@127.0.0.1", 1);
    int leaked = open("/dev/null", O_RDONLY); /* without close-on-exec, as a library might */
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    struct bench *bench = bench_new("true");
    char command[512];
    snprintf(command, sizeof command,
             "env > %s/env; ls -l /proc/self/fd > %s/fds; grep Sig /proc/self/status > %s/signals; echo up "
             ">&$WARMPOOL_READY_FD; " FOREVER,
             bench->dir, bench->dir, bench->dir);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    bench_open_runtime(bench);
    bench_create_sized(bench, "c-1", 128.5);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY, "%s", bench_last(bench)->detail);
    char env[4096], fds[4096], signals[1024];
    bench_read_file(bench, "env", env, sizeof env);
    bench_read_file(bench, "fds", fds, sizeof fds);
    bench_read_file(bench, "signals", signals, sizeof signals);
    cr_expect(strstr(env, "WARMPOOL_CONTAINER_ID=c-1\n"));
    cr_expect(strstr(env, "WARMPOOL_PHILOSOPHY=react\n"));
    cr_expect(strstr(env, "WARMPOOL_MEMORY_MB=128.5\n"));
    cr_expect(strstr(env, "WARMPOOL_CPU_PERCENT=50\n"));
    cr_expect(strstr(env, "WARMPOOL_READY_FD=3\n"));
    cr_expect(strstr(env, "PATH="));
    cr_expect_null(strstr(env, "secret"));
    cr_expect(strstr(fds, " 0 -> /dev/null"));
    cr_expect(strstr(fds, " 2 -> /dev/null"));
    cr_expect(strstr(fds, " 3 -> pipe:"));
    cr_expect_null(strstr(fds, " 5 -> "), "%s", fds); /* 4 is the folder that ls reads */
    cr_expect(strstr(signals, "SigBlk:\t0000000000000000"), "%s", signals);
    cr_expect(strstr(signals, "SigIgn:\t0000000000000000"), "%s", signals); /* the worker ignores SIGPIPE */
    close(leaked);
    bench_close(bench);
}

Test(process_start, a_child_that_ends_before_it_is_ready_has_failed) {
    struct bench *bench = bench_open_notify("exit 7");
    bench_create_fails(bench, "a", "the process exited with status 7 before it was ready");
    bench_close(bench);
}

Test(process_start, a_child_that_is_not_ready_in_time_is_killed_and_has_failed) {
    struct bench *bench = bench_new("true");
    char command[256];
    snprintf(command, sizeof command, "echo $$ > %s/pid; " FOREVER, bench->dir);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    bench_set(bench, "process.ready_timeout_ms", "300");
    bench_open_runtime(bench);
    char id[16], path[96];
    snprintf(path, sizeof path, "%s/pid", bench->dir);
    do { /* again when it was killed before it had written its name */
        snprintf(id, sizeof id, "c%d", bench->count);
        bench_create(bench, id);
        bench_wait(bench, bench->count + 1);
        cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_FAILED);
        cr_assert_str_eq(bench_last(bench)->detail, "not ready within process.ready_timeout_ms = 300");
    } while (access(path, R_OK) != 0);
    cr_assert(process_is_dead(bench_wait_number(bench, "pid")));
    bench_nothing_more(bench, 50);
    bench_close(bench);
}

Test(process_start, a_child_that_closes_the_ready_descriptor_without_a_line_has_failed) {
    struct bench *bench = bench_open_notify("printf almost >&3; exec 3>&-; " FOREVER);
    bench_create_until(bench, "a", WP_CONTAINER_FAILED);
    cr_assert(strstr(bench_last(bench)->detail, "WARMPOOL_READY_FD"), "%s", bench_last(bench)->detail);
    bench_close(bench);
}

Test(process_start, a_child_that_writes_on_and_on_without_a_line_does_not_hold_the_loop) {
    struct bench *bench = bench_new("exec tr '\\0' x </dev/zero >&3");
    bench_set(bench, "process.ready", "notify");
    bench_set(bench, "process.ready_timeout_ms", "300");
    bench_open_runtime(bench);
    bench_create_fails(bench, "a", "not ready within process.ready_timeout_ms = 300");
    bench_close(bench);
}

Test(process_start, a_ready_line_that_comes_late_is_waited_for) {
    struct bench *bench = bench_new("true");
    char command[512], half[96], go[96]; /* half is there when a part of the line is written; a line in the
                                            pipe go lets the rest come */
    snprintf(half, sizeof half, "%s/half", bench->dir);
    snprintf(go, sizeof go, "%s/go", bench->dir);
    snprintf(command, sizeof command,
             "mkfifo %s; printf re >&3; : > %s; read line < %s; echo ady >&3; " FOREVER, go, half, go);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    bench_open_runtime(bench);
    bench_create(bench, "a");
    while (access(half, F_OK)) loop_turn(&bench->loop);
    loop_turn(&bench->loop);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_READY), 0);
    FILE *end = fopen(go, "we"); /* waits for its reader */
    cr_assert(end && fputc('\n', end) == '\n' && fclose(end) == 0);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY);
    bench_close(bench);
}

Test(process_start, no_more_creates_at_once_than_allowed_and_the_rest_follows) {
    struct bench *bench = bench_new("true");
    char command[512]; /* each fails when it sees another one between its start and its ready line */
    snprintf(command, sizeof command,
             "mkdir %s/lock || exit 1; sleep 0.05; rmdir %s/lock; echo >&3; " FOREVER, bench->dir,
             bench->dir);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    bench_set(bench, "host.creates", "1");
    bench_open_runtime(bench);
    char id[16];
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof id, "c%d", i);
        bench_create(bench, id);
    }
    bench_wait(bench, 8);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_READY), 8);
    bench_close(bench);
}

/* How many seconds so many took, each with one between its start and its ready line. */
Test(process_start, those_that_no_request_waits_for_are_made_last) {
    struct bench *bench = bench_new(FOREVER);
    bench_set(bench, "host.creates", "1");
    bench_open_runtime(bench);
    bench_expect_spares_last(bench, (const char *[]){"first", "spare-1", "spare-2", "asked-for"});
    bench_close(bench);
}

static double creates_take(int count) {
    struct bench *bench = bench_open_notify("sleep 1; echo >&3; " FOREVER);
    char id[16];
    int64_t began = wp_clock_us();
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "c%d", i);
        bench_create(bench, id);
    }
    bench_wait(bench, count);
    double took = (double)(wp_clock_us() - began) / 1e6;
    cr_assert_eq(bench_count(bench, WP_CONTAINER_READY), count);
    bench_close(bench);
    return took;
}

/* Other tests run beside this one, so only a rival of the same moment says what is fast. */
Test(process_start, a_hundred_creates_of_one_second_run_side_by_side) {
    double one = 0, hundred = 0;
    for (int i = 0; i < 4 && (i == 0 || hundred >= 20 * one); i++) {
        one = creates_take(1);
        hundred = creates_take(100);
    }
    cr_assert_lt(hundred, 20 * one, "a hundred took %.2f s, one %.2f s", hundred, one);
}

Test(process_start, failing_and_slow_creates_hold_nobody_up) {
    struct bench *bench = bench_new(
        "case $WARMPOOL_CONTAINER_ID in bad*) exit 1;; slow*) sleep 1000;; esac; echo >&3; " FOREVER);
    bench_set(bench, "process.ready", "notify");
    bench_set(bench, "host.creates", "3");
    bench_set(bench, "process.ready_timeout_ms", "600000");
    bench_open_runtime(bench);
    bench_create(bench, "slow");
    char id[16];
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, i % 2 ? "bad%d" : "good%d", i);
        bench_create(bench, id);
    }
    bench_wait(bench, 10);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_FAILED), 5);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_READY), 5);
    for (int i = 0; i < bench->count; i++)
        cr_expect_eq(bench->told[i].state == WP_CONTAINER_FAILED, bench->told[i].id[0] == 'b', "%s",
                     bench->told[i].id);
    bench_close(bench);
}

Test(process_start, without_descriptors_a_create_fails_and_a_later_one_works) {
    struct bench *bench = bench_open(FOREVER);
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    low = before;
    low.rlim_cur = (rlim_t)next;
    close(next);
    setrlimit(RLIMIT_NOFILE, &low);
    bench_create(bench, "a");
    setrlimit(RLIMIT_NOFILE, &before);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_FAILED);
    cr_assert(strstr(bench_last(bench)->detail, "open files"), "%s", bench_last(bench)->detail);
    bench_create_until(bench, "b", WP_CONTAINER_READY);
    bench_close(bench);
}

Test(process_start, without_descriptors_it_does_not_open) {
    struct bench *bench = bench_new(FOREVER);
    struct rlimit before, low;
    struct wp_error error = {0};
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    low = before;
    low.rlim_cur = (rlim_t)next;
    close(next);
    setrlimit(RLIMIT_NOFILE, &low);
    enum wp_err err = bench_try_open(bench, &error);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_assert_eq(err, WP_ERR_SYSTEM);
    cr_assert(strstr(error.text, "open files"), "%s", error.text);
    bench->runtime = NULL; /* closing none is fine */
    bench_close(bench);
}

Test(process_start, a_program_that_cannot_be_run_is_a_failure_with_its_reason) {
    struct bench *bench = bench_new(FOREVER);
    char *huge = wp_alloc(256 * 1024); /* one argument takes at most 128 KiB: E2BIG */
    memset(huge, 'x', 256 * 1024 - 1);
    huge[256 * 1024 - 1] = '\0';
    free(bench->config.process.command);
    bench->config.process.command = huge;
    bench_open_runtime(bench);
    bench_create_fails(bench, "a", "/bin/sh could not be started: Argument list too long");
    bench_close(bench);
}
