/* The process driver against the kernel: what is there already, and what becomes of containers when the
 * worker or a shim is killed. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/process.h"
#include "support/runtime_bench.h"

#define NOBODY 65534

TestSuite(process_shim, .timeout = TEST_LIMIT_S);

Test(process_shim, creating_a_known_name_adopts_it) {
    struct bench *bench = bench_open(FOREVER);
    bench_create(bench, "a");
    bench_create(bench, "a"); /* while it starts: one process, told once */
    bench_wait(bench, 1);
    bench_nothing_more(bench, 50);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    cr_assert_eq(bench_pid(&bench->told[0]), bench_pid(&bench->told[1]));
    bench_close(bench);
}

struct listing {
    int count, states[5];
    bool done;
    char address[32];
};
static void on_listed(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                      struct wp_str detail) {
    struct listing *listing = ctx;
    (void)detail;
    listing->count++;
    listing->states[state]++;
    if (wp_str_is(id, "up"))
        snprintf(listing->address, sizeof listing->address, "%.*s", (int)address.len, address.ptr);
}
static void on_list_done(void *ctx, bool ok) {
    ((struct listing *)ctx)->done = ok;
}

Test(process_shim, list_says_what_there_is) {
    struct bench *bench = bench_new("case $WARMPOOL_CONTAINER_ID in up|ending) trap '' TERM; echo >&3;; "
                                    "esac; while :; do sleep 1000; done");
    bench_set(bench, "process.ready", "notify");
    bench_set(bench, "host.creates", "3");
    bench_open_runtime(bench);
    bench_create(bench, "up");
    bench_create(bench, "ending");
    bench_wait(bench, 2);
    for (int i = 0; i < 4; i++) bench_create(bench, (const char *[]){"s1", "s2", "s3", "queued"}[i]);
    bench_destroy(bench, "ending");
    struct listing listing = {0};
    wp_runtime_process.list(bench->runtime, on_listed, on_list_done, &listing);
    cr_assert(listing.done);
    cr_assert_eq(listing.count, 6);
    cr_assert_eq(listing.states[WP_CONTAINER_READY], 1);
    cr_assert_eq(listing.states[WP_CONTAINER_STARTING], 4);
    cr_assert_eq(listing.states[WP_CONTAINER_GONE], 1);
    cr_assert(strncmp(listing.address, "pid:", 4) == 0);
    bench_close(bench);
}

/* A worker of its own: makes two containers with a grandchild each, says "2" on the pipe and waits to be
 * killed. */
static _Noreturn void be_worker(struct bench *bench, int out) {
    bench_open_runtime(bench);
    bench_create(bench, "a");
    bench_create(bench, "b");
    bench_wait(bench, 2);
    for (int i = 0; i < bench->count; i++) dprintf(out, "%d\n", (int)bench_pid(&bench->told[i]));
    dprintf(out, "0\n");
    for (;;) pause();
}

Test(process_shim, killing_the_worker_leaves_neither_children_nor_grandchildren) {
    struct bench *bench = bench_new("true");
    char command[512];
    snprintf(command, sizeof command,
             "(trap '' TERM HUP; sleep 1000) & echo $! > %s/$WARMPOOL_CONTAINER_ID; "
             "case $WARMPOOL_CONTAINER_ID in a) " FAR " ;; esac; echo >&3; " FOREVER,
             bench->dir, bench->dir, bench->dir);
    bench_set(bench, "process.command", command);
    bench_set(bench, "process.ready", "notify");
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t worker = fork();
    if (worker == 0) be_worker(bench, ends[1]);
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    pid_t pids[8];
    int count = 0;
    char line[32];
    while (fgets(line, sizeof line, in) && strtol(line, NULL, 10) != 0)
        pids[count++] = (pid_t)strtol(line, NULL, 10);
    fclose(in);
    cr_assert_eq(count, 2);
    pids[count++] = bench_wait_number(bench, "a");
    pids[count++] = bench_wait_number(bench, "b");
    pids[count++] = bench_wait_number(bench, "far");
    pids[count++] = bench_wait_number(bench, "orphan");
    for (int i = 0; i < count; i++) cr_assert_not(process_is_dead(pids[i]));
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    for (int i = 0; i < count; i++) process_wait_dead(pids[i]);
    bench_close(bench);
}

Test(process_shim, a_container_whose_shim_is_killed_ends_with_it) {
    struct bench *bench = bench_open(FOREVER);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    pid_t program = bench_pid(bench_last(bench));
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)program);
    FILE *file = fopen(path, "r");
    cr_assert(file && fgets(line, sizeof line, file));
    fclose(file);
    kill((pid_t)strtol(strrchr(line, ')') + 4, NULL, 10), SIGKILL); /* its parent */
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(bench)->detail, "killed: the process was ended by signal 9");
    process_wait_dead(program);
    bench_close(bench);
}

Test(process_shim, signals_to_the_workers_process_group_do_not_reach_a_container) {
    if (getpgrp() != getpid()) cr_assert_eq(setpgid(0, 0), 0);
    signal(SIGTERM, SIG_IGN);
    struct bench *bench = bench_open(FOREVER);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    cr_assert_eq(kill(0, SIGTERM), 0);
    bench_nothing_more(bench, 200);
    cr_assert_not(process_is_dead(bench_pid(bench_last(bench))));
    bench_close(bench);
}

/* As `warmpool worker` is in its image: the kernel shows little of it in /proc. */
Test(process_shim, a_worker_that_is_neither_root_nor_dumpable_starts_a_container) {
    if (geteuid() == 0)
        cr_assert(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
    struct bench *bench = bench_open(FOREVER);
    cr_assert_eq(prctl(PR_SET_DUMPABLE, 0), 0);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    bench_destroy_until_gone(bench, "a");
    cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* for the sanitizer, which looks for leaks */
    bench_close(bench);
}
