/* The docker driver against a scripted engine: how a death is known, and what is said of it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "support/docker_world.h"
#include "support/limits.h"

TestSuite(docker_deaths, .timeout = TEST_LIMIT_S);

/* An agent must not get a dead container because its engine is slow to remove it. */
Test(docker_deaths, a_death_is_told_at_once_however_long_its_removal_takes) {
    struct docker_world world = docker_world_open((struct http_answer[]){
        PING,
        EVENTS,
        EMPTY_LIST,
        CREATE,
        START,
        INSPECT,
        {.request = "DELETE /containers/a", .status = 500, .body = NO_SPACE, .times = 2},
        REMOVE,
        {0}});
    struct bench *bench = world.bench;
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    http_script_push(world.engine, "{\"Action\": \"die\", \"Actor\": {\"Attributes\": {\"name\": \"a\", "
                                   "\"exitCode\": \"137\"}}}\n");
    bench_wait(bench, 3);
    cr_assert_eq(bench->told[1].state, WP_CONTAINER_DYING, "nobody gets it from here on");
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(bench)->detail,
                     "killed: signal 9 ended it, not sent through the engine; it ended with status 137");
    cr_assert_leq(http_script_count(world.engine, "DELETE /containers/a"), 1);
    while (http_script_count(world.engine, "DELETE /containers/a") < 3) loop_turn(&bench->loop);
    bench_nothing_more(bench, 50);
    docker_world_close(&world);
}

/* ---- why it ended ---- */

#define ENDED(state)                                                                                         \
    {                                                                                                        \
        .request = "GET /containers/a/json", .status = 200,                                                  \
        .body = "{\"HostConfig\": {\"Memory\": 67108864}, \"State\": {" state "}}"                           \
    }

/* One that is ready, then these events one by one, then its death; `after`: what the engine says of it then.
 */
static void expect_death(struct http_answer after, const char *const events[][2], const char *detail) {
    struct http_answer ready = INSPECT;
    ready.times = 1;
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, ready, after, REMOVE, {0}});
    struct bench *bench = world.bench;
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    for (int i = 0; events[i][0]; i++) docker_world_push(&world, events[i][0], events[i][1]);
    do bench_wait(bench, bench->count + 1);
    while (bench_last(bench)->state != WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(bench)->detail, detail);
    bench_nothing_more(bench, 50);
    docker_world_close(&world);
}
#define DEATH(after, detail, ...)                                                                            \
    expect_death((struct http_answer)after, (const char *const[][2]){__VA_ARGS__, {NULL, NULL}}, detail)
#define DIED_137                                                                                             \
    { "die", ", \"exitCode\": \"137\"" }
#define STATE_137 ENDED("\"Status\": \"exited\", \"ExitCode\": 137, \"OOMKilled\": false")

Test(docker_deaths, a_death_by_a_signal_says_whether_it_came_through_the_engine) {
    DEATH(STATE_137, "killed: signal 9 was sent to it through the engine, and it ended with status 137",
          {"kill", ", \"signal\": \"9\""}, DIED_137);
    DEATH(STATE_137, "killed: signal 9 ended it, not sent through the engine; it ended with status 137",
          DIED_137);
    DEATH(ENDED("\"ExitCode\": 0"),
          "killed: signal 15 was sent to it through the engine, and it ended with status 0",
          {"kill", ", \"signal\": \"15\""}, {"die", ", \"exitCode\": \"0\""});
}

Test(docker_deaths, a_death_at_its_memory_limit_says_so) {
    static const char words[] =
        "out_of_memory: it needed more than its memory limit of 64 MB, and ended with status 137";
    DEATH(STATE_137, words, {"oom", ""}, DIED_137);
    DEATH(ENDED("\"ExitCode\": 137, \"OOMKilled\": true"), words, DIED_137);
}

/* As on a busy machine. */
Test(docker_deaths, so_does_one_whose_word_about_memory_comes_after_its_death) {
    struct http_answer ready = INSPECT, after = STATE_137;
    ready.times = 1;
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, ready, after, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    docker_world_push(&world, "die", ", \"exitCode\": \"137\"");
    while (http_script_count(world.engine, "GET /containers/a/json") < 2) loop_turn(&world.bench->loop);
    docker_world_push(&world, "oom", "");
    bench_wait(world.bench, 4);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert(strncmp(bench_last(world.bench)->detail, "out_of_memory: ", 15) == 0, "%s",
              bench_last(world.bench)->detail);
    docker_world_close(&world);
}

/* The engine remembers for ever that a process ran out of memory. */
Test(docker_deaths, a_process_that_ran_out_of_memory_is_told_and_is_no_reason_for_another_end) {
    DEATH(ENDED("\"ExitCode\": 137, \"OOMKilled\": true"),
          "killed: signal 9 was sent to it through the engine, and it ended with status 137", {"oom", ""},
          {"kill", ", \"signal\": \"9\""}, DIED_137);
    DEATH(ENDED("\"ExitCode\": 1, \"OOMKilled\": true"),
          "exited: it exited with status 1, after a process in it had run out of memory", {"oom", ""},
          {"die", ", \"exitCode\": \"1\""});
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    docker_world_push(&world, "oom", "");
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_OUT_OF_MEMORY);
    docker_world_close(&world);
}

Test(docker_deaths, one_that_somebody_removes_says_so_not_that_it_was_killed) {
    DEATH(ENDED("\"Status\": \"removing\", \"ExitCode\": 137"), "removed: somebody else removed it",
          {"kill", ", \"signal\": \"9\""}, DIED_137);
    struct http_answer gone = {.request = "GET /containers/a/json", .status = 404, .body = "{}"};
    expect_death(gone, (const char *const[][2]){{"kill", ", \"signal\": \"9\""}, DIED_137, {NULL, NULL}},
                 "removed: somebody else removed it");
}

/* A busy engine must not keep a death from being known. */
Test(docker_deaths, a_death_is_told_though_the_engine_does_not_say_why) {
    struct http_answer late = STATE_137;
    late.delay_ms = 10000;
    expect_death(late, (const char *const[][2]){{"die", ", \"exitCode\": \"3\""}, {NULL, NULL}},
                 "exited: it exited with status 3");
}

Test(docker_deaths, one_that_is_not_healthy_any_more_has_died) {
    struct http_answer answers[] = {
        EMPTY,
        CREATE,
        START,
        {.request = "GET /containers/a/json",
         .status = 200,
         .body = "{\"State\": {\"Running\": true, \"Health\": {\"Status\": \"healthy\"}}}"},
        REMOVE,
        {0}};
    struct docker_world world = docker_world_open_with(answers, "docker.ready", "healthy");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    docker_world_push(&world, "health_status: healthy", "");
    bench_nothing_more(world.bench, 50);
    docker_world_push(&world, "health_status: unhealthy", "");
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(world.bench)->detail,
                     "unhealthy: its health check says that it is not healthy any more");
    docker_world_close(&world);
}

Test(docker_deaths, a_health_check_that_nobody_asked_for_ends_nothing) {
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    docker_world_push(&world, "health_status: unhealthy", "");
    bench_nothing_more(world.bench, 100);
    docker_world_close(&world);
}

Test(docker_deaths, a_death_that_the_events_do_not_say_is_found_in_the_list) {
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(world.bench)->detail, "removed: somebody else removed it");
    docker_world_close(&world);
}

Test(docker_deaths, deaths_in_a_gap_of_the_events_are_found_in_the_list) {
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    http_script_close_streams(world.engine);
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(world.bench)->detail, "removed: somebody else removed it");
    cr_assert_geq(http_script_count(world.engine, "GET /events"), 2);
    docker_world_close(&world);
}
