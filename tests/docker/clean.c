/* What the docker driver removes between two uses of a container, on a real engine: what its last user left,
 * and nothing that was there when it became ready. */
#include <criterion/criterion.h>
#include <string.h>
#include "core/buf.h"
#include "support/engine_shared.h"
#include "support/limits.h"
#include "support/runtime_bench.h"

TestSuite(docker_clean, .init = engine_shared, .timeout = TEST_LIMIT_S);

static char id[96];

/* What a shell begins after it outlives the terminal that it has here. */
#define STAY "trap \"\" HUP; "

/* Ready when its command has made /tmp/ready. */
static struct bench *bench_with(const char *command) {
    struct bench *bench = bench_new_docker(command);
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    snprintf(id, sizeof id, "wp-%s", bench->config.host.name);
    return bench;
}

static struct bench *open_ready(const char *command) {
    struct bench *bench = bench_with(command);
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY);
    return bench;
}

#define PLAIN ": > /tmp/ready; " FOREVER

/* Of a shell in it. The words must not hold a '. */
static const char *inside(const char *script) {
    return bench_engine("run %s sh -c '%s'", id, script);
}

static const struct told *clean(struct bench *bench) {
    int before = bench->count;
    bench->in_verb++;
    bench->driver->clean(bench->runtime, wp_str(id));
    bench->in_verb--;
    bench_wait(bench, before + 1);
    return bench_last(bench);
}

static void clean_well(struct bench *bench) {
    const struct told *told = clean(bench);
    cr_assert_eq(told->state, WP_CONTAINER_CLEANED, "%d: %s", told->state, told->detail);
}

static void clean_fails(struct bench *bench, const char *why) {
    const struct told *told = clean(bench);
    cr_assert_eq(told->state, WP_CONTAINER_DIED, "%d: %s", told->state, told->detail);
    cr_expect(strstr(told->detail, "not_prepared: it could not be cleaned: "), "%s", told->detail);
    cr_expect(strstr(told->detail, why), "%s", told->detail);
}

/* The names of its processes but for the shell that looks. */
#define PROCESSES "for each in /proc/[0-9]*; do [ $each = /proc/$$ ] || cat $each/comm; done; true"

Test(docker_clean, what_was_there_when_it_became_ready_stays) {
    struct bench *bench =
        open_ready("sleep 2000 & mkdir /tmp/d; echo kept > /tmp/d/f; echo x > /dev/shm/own; " PLAIN);
    inside(
        "echo new > /tmp/d/new; mkdir /tmp/d/e; echo x > /tmp/d/e/f; rm /dev/shm/own; echo y > /dev/shm/own");
    clean_well(bench);
    cr_expect_str_eq(inside(PROCESSES), "init\nsleep\nsleep\n");
    cr_expect_str_eq(inside("find /tmp /dev/shm"), "/tmp\n/tmp/ready\n/tmp/d\n/tmp/d/f\n/dev/shm\n");
    cr_expect_str_eq(inside("cat /tmp/d/f"), "kept\n");
    bench_close(bench);
}

Test(docker_clean, processes_that_a_user_left_are_ended_and_their_numbers_are_free_again) {
    struct bench *bench = open_ready(PLAIN);
    for (int use = 0; use < 3; use++) {
        inside(STAY "i=0; while [ $i -lt 110 ]; do (setsid sleep 3000 &) ; i=$((i+1)); done");
        clean_well(bench);
        cr_expect_str_eq(inside(PROCESSES), "init\nsleep\n");
    }
    bench_close(bench);
}

Test(docker_clean, dead_ones_of_a_user_do_not_stay_as_zombies) {
    struct bench *bench = open_ready(PLAIN);
    inside(STAY "i=0; while [ $i -lt 110 ]; do (true &) ; i=$((i+1)); done");
    while (strcmp(inside(PROCESSES), "init\nsleep\n") != 0) loop_turn(&bench->loop);
    bench_close(bench);
}

Test(docker_clean, files_that_a_user_left_are_gone_whatever_their_names_rights_and_depth) {
    struct bench *bench = open_ready("mkdir /tmp/own; echo x > /tmp/own/f; " PLAIN);
    inside("cd /tmp; echo x > .dot; mkdir -p .hidden/a/b; echo x > .hidden/a/b/c; ln -s /tmp/own link; ln "
           "own/f hard; "
           "mkfifo pipe; mkdir none; echo x > none/f; chmod 000 none; echo x > /dev/shm/.x; echo x > "
           "/dev/mqueue/queue; "
           "i=0; while [ $i -lt 600 ]; do mkdir deep && cd deep; i=$((i+1)); done; echo x > f");
    clean_well(bench);
    cr_expect_str_eq(inside("ls -A1 /tmp /dev/shm /dev/mqueue /tmp/own"),
                     "/dev/mqueue:\n\n/dev/shm:\n\n/tmp:\nown\nready\n\n/tmp/own:\nf\n");
    bench_close(bench);
}

/* The image's volume has a folder that this user cannot enter. */
Test(docker_clean, files_that_a_user_left_in_a_volume_of_the_image_are_gone) {
    struct bench *bench = bench_with("echo own > /data/own; " PLAIN);
    bench_set(bench, "docker.image", "warmpool-test-volume:1");
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY);
    inside("cd /data; echo x > left; mkdir -p a/b; echo x > a/b/c");
    clean_well(bench);
    cr_expect_str_eq(inside("ls -A1 /data; cat /data/own"), "closed\nown\nown\n");
    bench_close(bench);
}

/* One of them is mounted in the other, and both are of one file system, as the volume of the image is. */
Test(docker_clean, files_in_what_the_configuration_mounts_stay_wherever_that_is) {
    struct bench *bench = bench_with(PLAIN);
    char *first = wp_format("%s-first", bench->config.host.name),
         *second = wp_format("%s-second", bench->config.host.name),
         *mounts = wp_format("%s:/run,%s:/data/inner", first, second);
    bench_set(bench, "docker.image", "warmpool-test-volume:1");
    bench_set(bench, "docker.mounts", mounts);
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_engine("run-as 0 %s sh -c 'chmod 777 /run /data/inner'", id);
    inside("echo x > /run/shared; echo x > /data/inner/shared; echo x > /data/left");
    clean_well(bench);
    cr_expect_str_eq(inside("ls -A1 /data /data/inner; cat /run/shared"),
                     "/data:\nclosed\ninner\n\n/data/inner:\nshared\nx\n");
    bench_close(bench);
    bench_engine("delete /volumes/%s", first);
    bench_engine("delete /volumes/%s", second);
    free(mounts);
    free(second);
    free(first);
}

Test(docker_clean, a_program_that_its_user_stopped_goes_on) {
    struct bench *bench = open_ready(PLAIN);
    inside("for each in /proc/[0-9]*; do read name < $each/comm; [ $name = sleep ] && kill -STOP "
           "${each#/proc/}; done; true");
    clean_well(bench);
    cr_expect_str_eq(inside("for each in /proc/[0-9]*; do read -r number name state rest < $each/stat; [ "
                            "$state = T ] && echo $name; done; true"),
                     "");
    bench_close(bench);
}

Test(docker_clean, a_full_tmp_has_room_again) {
    struct bench *bench = open_ready(PLAIN);
    cr_expect(strstr(inside("dd if=/dev/zero of=/tmp/all bs=1M count=100"), "No space left"));
    clean_well(bench);
    cr_expect_not(strstr(inside("dd if=/dev/zero of=/tmp/some bs=1M count=60"), "No space left"));
    bench_close(bench);
}

Test(docker_clean, a_fork_bomb_is_ended) {
    struct bench *bench = open_ready(PLAIN);
    /* Those of the second kind leave at once, and have nobody collect them. */
    inside(STAY "echo \"b() { b | b & }; b\" > /tmp/bomb; echo \"sh /tmp/hop & exit 0\" > /tmp/hop; "
                "setsid sh /tmp/bomb > /dev/null 2>&1 & setsid sh /tmp/hop > /dev/null 2>&1 & "
                "while set -- /proc/[0-9]*; [ $# -lt 40 ]; do :; done");
    clean_well(bench);
    cr_expect_str_eq(inside(PROCESSES), "init\nsleep\n");
    bench_close(bench);
}

Test(docker_clean, one_with_a_file_that_its_user_may_not_remove_is_given_up) {
    struct bench *bench = open_ready(PLAIN);
    bench_engine("run-as 0 %s touch /tmp/of-root", id);
    clean_fails(bench, "/tmp has a file that cannot be removed: Operation not permitted");
    bench_close(bench);
}

Test(docker_clean, one_with_a_process_that_its_user_may_not_end_is_given_up) {
    struct bench *bench = open_ready(PLAIN);
    bench_engine("run-as 0 %s sh -c '" STAY "(setsid sleep 4000 &)'", id);
    clean_fails(bench, "belongs to another user");
    bench_close(bench);
}

Test(docker_clean, its_first_process_cannot_be_read_stopped_or_ended_from_inside) {
    struct bench *bench = open_ready(PLAIN);
    cr_expect(strstr(inside("cat /proc/1/environ"), "Permission denied"));
    cr_expect(strstr(inside("ls -l /proc/1/fd"), "Permission denied"));
    inside("kill -9 1; kill -STOP 1");
    clean_well(bench);
    bench_close(bench);
}

Test(docker_clean, a_worker_that_restarts_cleans_what_another_made) {
    struct bench *bench = open_ready("sleep 2000 & " PLAIN);
    inside(STAY "(setsid sleep 3000 &); echo x > /tmp/left");
    bench_close_runtime(bench);
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY); /* adopted */
    clean_well(bench);
    cr_expect_str_eq(inside(PROCESSES), "init\nsleep\nsleep\n");
    cr_expect_str_eq(inside("ls -A /tmp"), "ready\n");
    bench_close(bench);
}

static void change(struct bench *bench, void (*verb)(struct wp_runtime *runtime, struct wp_str id)) {
    int before = bench->count;
    verb(bench->runtime, wp_str(id));
    bench_wait(bench, before + 1);
}

static void note_state(void *ctx, struct wp_str listed, enum wp_container_state state, struct wp_str address,
                       struct wp_str detail) {
    (void)address;
    (void)detail;
    if (wp_str_is(listed, id)) *(int *)ctx = (int)state;
}

static void note_end(void *ctx, bool ok) {
    (void)ctx;
    (void)ok;
}

/* Waits until the driver has adopted it. */
static void wait_listed(struct bench *bench, enum wp_container_state wanted) {
    static int state; /* an answer may come later */
    state = -1;
    while (state != (int)wanted) {
        bench->driver->list(bench->runtime, note_state, note_end, &state);
        for (int turn = 0; turn < 5; turn++) loop_turn(&bench->loop);
    }
}

Test(docker_clean, one_that_was_paused_while_its_worker_restarted_is_cleaned_once_it_runs) {
    struct bench *bench = open_ready(PLAIN);
    inside("echo x > /tmp/left");
    change(bench, bench->driver->pause);
    bench_close_runtime(bench);
    bench_open_runtime(bench);
    wait_listed(bench, WP_CONTAINER_PAUSED);
    change(bench, bench->driver->resume);
    while (bench_last(bench)->state != WP_CONTAINER_RUNNING) bench_wait(bench, bench->count + 1);
    clean_well(bench);
    cr_expect_str_eq(inside("ls -A /tmp"), "ready\n");
    bench_close(bench);
}

Test(docker_clean, one_that_stands_still_is_given_up) {
    struct bench *bench = open_ready(PLAIN);
    bench_engine("post /containers/%s/pause", id); /* by hand */
    while (bench_last(bench)->state != WP_CONTAINER_PAUSED) bench_wait(bench, bench->count + 1);
    clean_fails(bench, "its init does not answer");
    bench_close(bench);
}

Test(docker_clean, one_that_is_killed_meanwhile_was_killed) {
    struct bench *bench = open_ready(PLAIN);
    bench_engine("post /containers/%s/pause", id); /* so that it is being cleaned for a while */
    while (bench_last(bench)->state != WP_CONTAINER_PAUSED) bench_wait(bench, bench->count + 1);
    bench->in_verb++;
    bench->driver->clean(bench->runtime, wp_str(id));
    bench->in_verb--;
    bench_engine("post /containers/%s/kill", id);
    while (bench_last(bench)->state != WP_CONTAINER_DIED) bench_wait(bench, bench->count + 1);
    cr_expect(strncmp(bench_last(bench)->detail, "killed: ", 8) == 0, "%s", bench_last(bench)->detail);
    bench_close(bench);
}

Test(docker_clean, one_that_was_made_without_an_init_is_given_up) {
    struct bench *bench = bench_with(PLAIN);
    bench_set(bench, "pool.clean", "false");
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_close_runtime(bench);
    bench_set(bench, "pool.clean", "true");
    bench_open_runtime(bench);
    bench_create(bench, id); /* it is adopted, and outdated */
    do bench_wait(bench, bench->count + 1);
    while (bench_count(bench, WP_CONTAINER_READY) < 2 || bench_count(bench, WP_CONTAINER_OUTDATED) < 1);
    clean_fails(bench, "it was made with pool.clean = false");
    bench_close(bench);
}

Test(docker_clean, an_image_without_a_shell_runs_what_it_says) {
    struct bench *bench = bench_with("");
    bench_set(bench, "docker.image", "warmpool-test-bare:1");
    bench_set(bench, "docker.ready", "running");
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_engine("run %s /bin/busybox touch /tmp/left", id);
    clean_well(bench);
    cr_expect_str_eq(bench_engine("run %s /bin/busybox ls -A /tmp", id), "");
    const char *names = bench_engine("run %s /bin/busybox ps -o comm", id);
    cr_expect(strstr(names, "init") && strstr(names, "busybox"), "%s", names);
    bench_close(bench);
}

Test(docker_clean, a_program_that_cannot_be_run_is_named) {
    struct bench *bench = bench_with("");
    bench_set(bench, "docker.image", "warmpool-test-broken:1");
    bench_open_runtime(bench);
    bench_create_fails(bench, id, "its program /nowhere cannot be run: No such file or directory");
    bench_close(bench);
}

Test(docker_clean, it_ends_as_its_program_does_and_hears_the_same_signals) {
    static const char *const cases[][2] = {
        {"trap \"exit 7\" TERM; : > /tmp/ready; while :; do sleep 0.05; done", "status 7"},
        {PLAIN, "status 143"}};
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = open_ready(cases[i][0]);
        bench_engine("post '/containers/%s/kill?signal=TERM'", id);
        while (bench_last(bench)->state != WP_CONTAINER_DIED) bench_wait(bench, bench->count + 1);
        cr_expect(strstr(bench_last(bench)->detail, cases[i][1]), "%s", bench_last(bench)->detail);
        bench_close(bench);
    }
}

Test(docker_clean, its_dev_shm_is_small_and_its_own) {
    struct bench *bench = open_ready(PLAIN);
    cr_expect(strstr(inside("dd if=/dev/zero of=/dev/shm/all bs=1M count=17"), "No space left"));
    bench_close(bench);
}

Test(docker_clean, an_engine_on_another_machine_needs_a_folder_that_is_named) {
    struct wp_error error = {0};
    struct bench *bench = bench_new_scripted();
    bench_set(bench, "docker.url", "tcp://127.0.0.1:1");
    bench_set(bench, "pool.clean.react", "true");
    cr_assert_eq(bench_try_open(bench, &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "host.claims"), "%s", error.text);
    bench_close(bench);
}
