/* The docker driver against a real engine: what it makes, when that is ready, and how it ends. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "support/engine_shared.h"
#include "support/limits.h"
#include "support/runtime_bench.h"

TestSuite(docker_runtime, .init = engine_shared, .timeout = TEST_LIMIT_S);

static struct bench *open_bench(const char *command) {
    struct bench *bench = bench_new_docker(command);
    bench_open_runtime(bench);
    return bench;
}

/* A name that no other test has. */
static const char *name(const struct bench *bench, const char *suffix) {
    static char text[2][96];
    static int turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[0], "wp-%s-%s", bench->config.host.name, suffix);
    return text[turn];
}

static json_t *inspect(const char *id) {
    json_t *json = json_loads(bench_engine("get /containers/%s/json", id), 0, NULL);
    cr_assert(json);
    return json;
}

static int count(const struct bench *bench) {
    return (int)strtol(bench_engine("count %s", bench_docker_label(bench)), NULL, 10);
}

/* Its removal goes on after a failure or a death was told. */
static void wait_for_none(const struct bench *bench) {
    while (count(bench) > 0) loop_turn((uv_loop_t *)&bench->loop);
}

Test(docker_runtime, a_created_container_runs_and_goes_when_it_is_destroyed) {
    struct bench *bench = open_bench(FOREVER);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_READY);
    json_t *seen = inspect(id);
    cr_assert(json_is_true(json_object_get(json_object_get(seen, "State"), "Running")));
    json_decref(seen);
    bench_destroy(bench, id);
    bench_destroy(bench, id); /* once more changes nothing */
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_GONE);
    cr_assert_eq(count(bench), 0);
    bench_nothing_more(bench, 50);
    bench_close(bench);
}

Test(docker_runtime, destroying_an_unknown_name_says_gone) {
    struct bench *bench = open_bench(FOREVER);
    bench_destroy_until_gone(bench, name(bench, "never"));
    bench_close(bench);
}

Test(docker_runtime, a_command_that_ends_at_once_has_failed_and_leaves_nothing) {
    struct bench *bench = open_bench("exit 3");
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    bench_create_fails(bench, name(bench, "a"), "it exited with status 3 before it was ready");
    wait_for_none(bench);
    bench_close(bench);
}

Test(docker_runtime, a_missing_image_is_named) {
    struct bench *bench = bench_new_docker(FOREVER);
    bench_set(bench, "docker.image.react", "nowhere/to-be-found:7");
    bench_open_runtime(bench);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_FAILED);
    cr_assert(strstr(bench_last(bench)->detail, "the image nowhere/to-be-found:7 is not on host"), "%s",
              bench_last(bench)->detail);
    bench_close(bench);
}

Test(docker_runtime, one_that_is_ready_by_a_file_is_waited_for) {
    struct bench *bench = bench_new_docker("sleep 0.3; touch /tmp/ready; " FOREVER);
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    bench_open_runtime(bench);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_close(bench);
}

Test(docker_runtime, one_that_is_not_ready_in_time_has_failed_and_is_removed) {
    struct bench *bench = bench_new_docker(FOREVER);
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    bench_set(bench, "docker.ready_timeout_ms", "300");
    bench_open_runtime(bench);
    bench_create_until(bench, name(bench, "a"), WP_CONTAINER_FAILED);
    cr_assert(strstr(bench_last(bench)->detail, "docker.ready_timeout_ms = 300"), "%s",
              bench_last(bench)->detail);
    wait_for_none(bench);
    bench_close(bench);
}

/* On a network of its own, ready by its port; what it does first takes a while. */
static struct bench *open_with_port(const char *command, const char *ready) {
    struct bench *bench = bench_new_docker(command);
    bench_engine("post /networks/create '{\"Name\": \"%s\"}'", bench->config.host.name);
    bench_set(bench, "docker.network", bench->config.host.name);
    bench_set(bench, "docker.ready", ready);
    return bench;
}

static void close_with_network(struct bench *bench) {
    char *network = wp_strdup(bench->config.host.name);
    bench_engine("clean %s", bench_docker_label(bench));
    bench_close(bench);
    bench_engine("delete /networks/%s", network);
    free(network);
}

#define HTTP "cd /tmp; busybox httpd -f -p 8080 -h /tmp"

Test(docker_runtime, one_that_is_ready_by_a_port_is_waited_for_and_its_address_is_said) {
    struct bench *bench = open_with_port("sleep 0.3; " HTTP, "tcp:8080");
    bench_open_runtime(bench);
    bench_create_until(bench, name(bench, "a"), WP_CONTAINER_READY);
    cr_expect(strspn(bench_last(bench)->address, "0123456789.") == strlen(bench_last(bench)->address), "%s",
              bench_last(bench)->address);
    close_with_network(bench);
}

Test(docker_runtime, one_that_is_ready_by_a_path_is_waited_for) {
    struct bench *bench = open_with_port("(sleep 0.3; echo yes > /tmp/healthz) & " HTTP, "http:8080/healthz");
    bench_open_runtime(bench);
    bench_create_until(bench, name(bench, "a"), WP_CONTAINER_READY);
    close_with_network(bench);
}

Test(docker_runtime, a_path_that_is_not_there_and_a_port_that_is_closed_are_named_when_the_time_is_over) {
    static const char *const cases[][2] = {{"http:8080/nowhere", "is answered with status 404"},
                                           {"tcp:8081", "http://"}};
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = open_with_port(HTTP, cases[i][0]);
        bench_set(bench, "docker.ready_timeout_ms", "1500");
        bench_open_runtime(bench);
        bench_create_until(bench, name(bench, "a"), WP_CONTAINER_FAILED);
        cr_expect(strstr(bench_last(bench)->detail, cases[i][1]), "%s", bench_last(bench)->detail);
        wait_for_none(bench);
        close_with_network(bench);
    }
}

/* One that was ready, and has died of this: `verb path` with what comes after its name. */
static struct bench *open_with_dead(const char *verb, const char *after_name) {
    struct bench *bench = open_bench(FOREVER);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_engine("%s '/containers/%s%s'", verb, id, after_name);
    while (bench_last(bench)->state != WP_CONTAINER_DIED) bench_wait(bench, bench->count + 1);
    wait_for_none(bench);
    bench_nothing_more(bench, 50);
    return bench;
}

static void expect_reason(const struct bench *bench, const char *reason) {
    cr_assert_str_eq(bench_last(bench)->detail, reason);
}

Test(docker_runtime, a_death_is_told_with_its_status_and_nothing_of_it_is_left) {
    struct bench *bench = open_with_dead("post", "/kill");
    expect_reason(bench, "killed: signal 9 was sent to it through the engine, and it ended with status 137");
    bench_close(bench);
}

Test(docker_runtime, one_that_somebody_removes_has_died) {
    struct bench *bench = open_with_dead("delete", "?force=1");
    expect_reason(bench, "removed: somebody else removed it");
    bench_close(bench);
}

/* A lease says its name, and every call to the engine: with another name it is nobody's. */
Test(docker_runtime, one_that_somebody_renames_has_died) {
    struct bench *bench = open_bench(FOREVER);
    bench_create_until(bench, name(bench, "a"), WP_CONTAINER_READY);
    char *other = wp_strdup(name(bench, "other")),
         *reason = wp_format("removed: somebody else named it %s", other);
    bench_engine("post /containers/%s/rename?name=%s", name(bench, "a"), other);
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_DIED);
    expect_reason(bench, reason);
    bench_engine("delete /containers/%s?force=1", other);
    free(reason);
    free(other);
    bench_close(bench);
}

/* Does `command` when somebody writes a line to /tmp/end. */
static struct bench *open_until_end(const char *command, int memory_mb, int log_lines) {
    struct bench *bench = bench_new_docker("");
    char *whole = wp_format("busybox mkfifo /tmp/end; touch /tmp/ready; read line < /tmp/end; %s", command);
    char lines[16];
    snprintf(lines, sizeof lines, "%d", log_lines);
    bench_set(bench, "docker.command", whole);
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    bench_set(bench, "docker.log_lines", lines);
    bench_open_runtime(bench);
    bench_create_sized(bench, name(bench, "a"), memory_mb);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY, "%s", bench_last(bench)->detail);
    free(whole);
    return bench;
}

static void let_end(struct bench *bench) {
    bench_engine("run %s sh -c 'echo > /tmp/end'", name(bench, "a"));
    while (bench_last(bench)->state != WP_CONTAINER_DIED) bench_wait(bench, bench->count + 1);
}

Test(docker_runtime, one_that_ends_by_itself_says_its_status) {
    struct bench *bench = open_until_end("exit 3", 32, 0);
    let_end(bench);
    expect_reason(bench, "exited: it exited with status 3");
    bench_close(bench);
}

Test(docker_runtime, one_that_needs_too_much_memory_says_its_limit) {
    struct bench *bench = open_until_end("exec dd if=/dev/zero of=/dev/null bs=64M count=1", 32, 0);
    let_end(bench);
    expect_reason(bench,
                  "out_of_memory: it needed more than its memory limit of 32 MB, and ended with status 137");
    bench_close(bench);
}

Test(docker_runtime, one_that_somebody_pauses_or_resumes_says_so) {
    struct bench *bench = open_bench(FOREVER);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_engine("post /containers/%s/pause", id);
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_PAUSED);
    bench_engine("post /containers/%s/unpause", id);
    bench_wait(bench, 3);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_RUNNING);
    bench->driver->pause(bench->runtime, wp_str(id)); /* as asked: said once */
    bench_wait(bench, 4);
    bench_nothing_more(bench, 50);
    bench_close(bench);
}

Test(docker_runtime, destroying_one_that_starts_or_waits_to_start) {
    struct bench *bench = bench_new_docker(FOREVER);
    bench_set(bench, "host.creates", "1");
    bench_open_runtime(bench);
    char starting[96];
    snprintf(starting, sizeof starting, "%s", name(bench, "starting"));
    const char *queued = name(bench, "queued");
    bench_create(bench, starting);
    bench_create(bench, queued);
    bench_destroy_until_gone(bench, queued);
    bench_destroy_until_gone(bench, starting);
    cr_assert_eq(count(bench), 0);
    bench_close(bench);
}

Test(docker_runtime, those_that_no_request_waits_for_are_made_last) {
    struct bench *bench = bench_new_docker(FOREVER);
    bench_set(bench, "host.creates", "1");
    bench_open_runtime(bench);
    char ids[4][96];
    for (int i = 0; i < 4; i++)
        snprintf(ids[i], sizeof ids[i], "%s",
                 name(bench, (const char *[]){"first", "spare-1", "spare-2", "asked-for"}[i]));
    bench_expect_spares_last(bench, (const char *[]){ids[0], ids[1], ids[2], ids[3]});
    bench_close(bench);
}

Test(docker_runtime, many_creates_are_all_answered) {
    struct bench *bench = open_bench(FOREVER);
    char id[16];
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "%d", i);
        bench_create(bench, name(bench, id));
    }
    bench_wait(bench, 10);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_READY), 10);
    cr_assert_eq(count(bench), 10);
    bench_close(bench);
}

/* --- what was there before -------------------------------------------------------------------------------
 */

struct listing {
    int count, states[5];
    bool done;
};
static void on_listed(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                      struct wp_str detail) {
    struct listing *listing = ctx;
    (void)id;
    (void)address;
    (void)detail;
    listing->count++;
    listing->states[state]++;
}
static void on_list_done(void *ctx, bool ok) {
    ((struct listing *)ctx)->done = ok;
}

static struct listing list(struct bench *bench) {
    struct listing listing = {0};
    bench->driver->list(bench->runtime, on_listed, on_list_done, &listing);
    while (!listing.done) loop_turn(&bench->loop);
    return listing;
}

Test(docker_runtime, those_of_a_worker_before_are_adopted_when_they_run_and_foreign_ones_are_not_touched) {
    struct bench *bench = open_bench(FOREVER);
    char runs[96];
    snprintf(runs, sizeof runs, "%s", name(bench, "runs"));
    const char *dead = name(bench, "dead");
    bench_create_until(bench, runs, WP_CONTAINER_READY);
    bench_create_until(bench, dead, WP_CONTAINER_READY);
    bench_close_runtime(bench);
    bench_engine("post /containers/%s/kill", dead);
    bench_engine(
        "post '/containers/create?name=%s-not' '{\"Image\": \"warmpool-test:1\", \"Cmd\": [\"true\"]}'",
        runs);
    bench_open_runtime(bench);
    struct listing listing = list(bench);
    cr_assert_eq(listing.count, 2);
    cr_assert_eq(listing.states[WP_CONTAINER_DIED], 1);
    bench_wait(bench, 4);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_DIED), 1);
    cr_assert_eq(bench_count(bench, WP_CONTAINER_READY), 3);
    while (count(bench) > 1) loop_turn(&bench->loop);
    bench_engine("get /containers/%s-not/json", runs); /* still there */
    bench_engine("delete /containers/%s-not", runs);
    bench_close(bench);
}

Test(docker_runtime, a_name_that_is_ours_already_is_adopted_and_somebody_elses_is_refused) {
    struct bench *bench = open_bench(FOREVER);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_close_runtime(bench);
    bench_open_runtime(bench);
    bench_create(bench, id); /* before it was listed, or after: it is the same one */
    bench_wait(bench, 2);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY);
    cr_assert_eq(count(bench), 1);
    const char *taken = name(bench, "taken");
    bench_engine("post '/containers/create?name=%s' '{\"Image\": \"warmpool-test:1\", \"Cmd\": [\"true\"]}'",
                 taken);
    bench_create_until(bench, taken, WP_CONTAINER_FAILED);
    cr_assert_str_eq(bench_last(bench)->detail, "its name is taken by a container of somebody else");
    bench_engine("delete /containers/%s", taken); /* it is still there */
    bench_close(bench);
}

Test(docker_runtime, close_waits_for_what_was_asked_to_go) {
    struct bench *bench = open_bench(FOREVER);
    const char *id = name(bench, "a");
    bench_create_until(bench, id, WP_CONTAINER_READY);
    bench_destroy(bench, id);
    bench_close_runtime(bench);
    cr_assert_eq(count(bench), 0);
    bench_close(bench);
}

Test(docker_runtime, an_engine_that_is_not_there_is_said_and_nothing_is_lost) {
    struct bench *bench = bench_new_docker(FOREVER);
    bench_set(bench, "docker.url", "unix:///nowhere/docker.sock");
    bench_open_runtime(bench);
    bench_create(bench, "a");
    bench_nothing_more(bench, 500); /* whether it was made is not known, so it is not said to have failed */
    bench_close(bench);
}
