/* The docker driver against a server that does what a real engine cannot be made to do: errors, nonsense,
 * silence, answers that are lost. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "support/http_script.h"
#include "support/limits.h"
#include "support/runtime_bench.h"

TestSuite(docker_faults, .timeout = TEST_LIMIT_S);

#define RUNNING                                                                                              \
    "{\"State\": {\"Running\": true}, \"NetworkSettings\": {\"Networks\": {\"none\": {\"IPAddress\": "       \
    "\"\"}}}}"
#define PING                                                                                                 \
    { .request = "GET /_ping", .status = 200, .body = "OK" }
#define EVENTS                                                                                               \
    { .request = "GET /events", .status = 200, .stream = true }
#define EMPTY_LIST                                                                                           \
    { .request = "GET /containers/json", .status = 200, .body = "[]" }
/* An engine that has nothing yet. */
#define EMPTY PING, EVENTS, EMPTY_LIST
#define CREATE                                                                                               \
    { .request = "POST /containers/create", .status = 201, .body = "{\"Id\": \"1\"}" }
#define START                                                                                                \
    { .request = "POST /containers/a/start", .status = 204 }
#define INSPECT                                                                                              \
    { .request = "GET /containers/a/json", .status = 200, .body = RUNNING }
/* What a look shows of one that this host has made. */
#define OURS                                                                                                 \
    "{\"Config\": {\"Labels\": {\"io.warmpool.prefix\": \"wp/\", \"io.warmpool.host\": \"" SCRIPTED_HOST     \
    "\"}}, \"State\": {\"Running\": true}}"
#define INSPECT_OURS                                                                                         \
    { .request = "GET /containers/a/json", .status = 200, .body = OURS }
#define REMOVE                                                                                               \
    { .request = "DELETE /containers/a", .status = 204 }
#define NO_SPACE "{\"message\": \"no space left on device\"}"

struct world {
    struct bench *bench;
    struct http_script *engine;
};

/* The driver asks what there is once it hears the events; what is made before that has to be in the answer.
 */
static void wait_until_listed(struct world *world) {
    while (http_script_count(world->engine, "GET /events") == 0 ||
           http_script_count(world->engine, "GET /containers/json") == 0)
        loop_turn(&world->bench->loop);
}

static struct world open_with(const struct http_answer *answers, const char *key, const char *value) {
    struct world world = {.bench = bench_new_scripted()};
    char *path = wp_format("%s/engine", world.bench->dir), *url = wp_format("unix://%s", path);
    world.engine = http_script_start(path, "1.41", answers);
    bench_set(world.bench, "docker.url", url);
    if (key) bench_set(world.bench, key, value);
    bench_open_runtime(world.bench);
    wait_until_listed(&world);
    free(path);
    free(url);
    return world;
}

static struct world open_world(const struct http_answer *answers) {
    return open_with(answers, NULL, NULL);
}

static void close_world(struct world *world) {
    bench_close_runtime(world->bench);
    http_script_stop(world->engine);
    bench_close(world->bench);
}

static void expect_failed(struct world *world, const char *part) {
    const struct told *told = bench_create_until(world->bench, "a", WP_CONTAINER_FAILED);
    cr_assert(strstr(told->detail, part), "%s", told->detail);
    bench_nothing_more(world->bench, 50);
}

Test(docker_faults, a_create_that_the_engine_refuses_has_failed_with_its_words) {
    struct world world = open_world(
        (struct http_answer[]){EMPTY,
                               {.request = "POST /containers/create", .status = 500, .body = NO_SPACE},
                               {.request = "DELETE /containers/a", .status = 404},
                               {0}});
    expect_failed(&world, "it could not be created: no space left on device");
    close_world(&world);
}

Test(docker_faults, one_that_cannot_be_started_is_removed_before_it_has_failed) {
    struct world world = open_world((struct http_answer[]){
        EMPTY, CREATE, {.request = "POST /containers/a/start", .status = 500, .body = "?"}, REMOVE, {0}});
    expect_failed(
        &world,
        "it could not be started: the Docker engine answered POST /containers/a/start with status 500");
    cr_assert_eq(http_script_count(world.engine, "DELETE /containers/a"), 1);
    close_world(&world);
}

Test(docker_faults, one_that_cannot_be_looked_at_has_failed) {
    struct world world = open_world(
        (struct http_answer[]){EMPTY,
                               CREATE,
                               START,
                               {.request = "GET /containers/a/json", .status = 500, .body = NO_SPACE},
                               REMOVE,
                               {0}});
    expect_failed(&world, "it could not be inspected");
    close_world(&world);
}

Test(docker_faults, nonsense_instead_of_json_is_no_running_container) {
    struct world world = open_world(
        (struct http_answer[]){EMPTY,
                               CREATE,
                               START,
                               {.request = "GET /containers/a/json", .status = 200, .body = "[1, \"x\""},
                               REMOVE,
                               {0}});
    expect_failed(&world, "before it was ready");
    close_world(&world);
}

Test(docker_faults, a_removal_is_tried_until_the_engine_says_that_it_is_gone) {
    struct world world = open_world((struct http_answer[]){
        EMPTY,
        CREATE,
        START,
        INSPECT,
        {.request = "DELETE /containers/a", .status = 500, .body = NO_SPACE, .times = 1},
        {.request = "DELETE /containers/a", .status = 0, .times = 1},
        {.request = "DELETE /containers/a",
         .status = 409,
         .body = "{\"message\": \"already in progress\"}",
         .times = 1},
        {.request = "DELETE /containers/a", .status = 404},
        {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    bench_destroy_until_gone(world.bench, "a");
    cr_assert_eq(http_script_count(world.engine, "DELETE /containers/a"), 4);
    bench_nothing_more(world.bench, 50);
    close_world(&world);
}

/* An agent must not get a dead container because its engine is slow to remove it. */
Test(docker_faults, a_death_is_told_at_once_however_long_its_removal_takes) {
    struct world world = open_world((struct http_answer[]){
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
    close_world(&world);
}

/* ---- why it ended ---- */

static void push(struct world *world, const char *action, const char *attribute) {
    char *line = wp_format("{\"Action\": \"%s\", \"Actor\": {\"Attributes\": {\"name\": \"a\"%s}}}\n", action,
                           attribute);
    http_script_push(world->engine, line);
    free(line);
}

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
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, ready, after, REMOVE, {0}});
    struct bench *bench = world.bench;
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    for (int i = 0; events[i][0]; i++) push(&world, events[i][0], events[i][1]);
    do bench_wait(bench, bench->count + 1);
    while (bench_last(bench)->state != WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(bench)->detail, detail);
    bench_nothing_more(bench, 50);
    close_world(&world);
}
#define DEATH(after, detail, ...)                                                                            \
    expect_death((struct http_answer)after, (const char *const[][2]){__VA_ARGS__, {NULL, NULL}}, detail)
#define DIED_137                                                                                             \
    { "die", ", \"exitCode\": \"137\"" }
#define STATE_137 ENDED("\"Status\": \"exited\", \"ExitCode\": 137, \"OOMKilled\": false")

Test(docker_faults, a_death_by_a_signal_says_whether_it_came_through_the_engine) {
    DEATH(STATE_137, "killed: signal 9 was sent to it through the engine, and it ended with status 137",
          {"kill", ", \"signal\": \"9\""}, DIED_137);
    DEATH(STATE_137, "killed: signal 9 ended it, not sent through the engine; it ended with status 137",
          DIED_137);
    DEATH(ENDED("\"ExitCode\": 0"),
          "killed: signal 15 was sent to it through the engine, and it ended with status 0",
          {"kill", ", \"signal\": \"15\""}, {"die", ", \"exitCode\": \"0\""});
}

Test(docker_faults, a_death_at_its_memory_limit_says_so) {
    static const char words[] =
        "out_of_memory: it needed more than its memory limit of 64 MB, and ended with status 137";
    DEATH(STATE_137, words, {"oom", ""}, DIED_137);
    DEATH(ENDED("\"ExitCode\": 137, \"OOMKilled\": true"), words, DIED_137);
}

/* As on a busy machine. */
Test(docker_faults, so_does_one_whose_word_about_memory_comes_after_its_death) {
    struct http_answer ready = INSPECT, after = STATE_137;
    ready.times = 1;
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, ready, after, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    push(&world, "die", ", \"exitCode\": \"137\"");
    while (http_script_count(world.engine, "GET /containers/a/json") < 2) loop_turn(&world.bench->loop);
    push(&world, "oom", "");
    bench_wait(world.bench, 4);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert(strncmp(bench_last(world.bench)->detail, "out_of_memory: ", 15) == 0, "%s",
              bench_last(world.bench)->detail);
    close_world(&world);
}

/* The engine remembers for ever that a process ran out of memory. */
Test(docker_faults, a_process_that_ran_out_of_memory_is_told_and_is_no_reason_for_another_end) {
    DEATH(ENDED("\"ExitCode\": 137, \"OOMKilled\": true"),
          "killed: signal 9 was sent to it through the engine, and it ended with status 137", {"oom", ""},
          {"kill", ", \"signal\": \"9\""}, DIED_137);
    DEATH(ENDED("\"ExitCode\": 1, \"OOMKilled\": true"),
          "exited: it exited with status 1, after a process in it had run out of memory", {"oom", ""},
          {"die", ", \"exitCode\": \"1\""});
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    push(&world, "oom", "");
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_OUT_OF_MEMORY);
    close_world(&world);
}

Test(docker_faults, one_that_somebody_removes_says_so_not_that_it_was_killed) {
    DEATH(ENDED("\"Status\": \"removing\", \"ExitCode\": 137"), "removed: somebody else removed it",
          {"kill", ", \"signal\": \"9\""}, DIED_137);
    struct http_answer gone = {.request = "GET /containers/a/json", .status = 404, .body = "{}"};
    expect_death(gone, (const char *const[][2]){{"kill", ", \"signal\": \"9\""}, DIED_137, {NULL, NULL}},
                 "removed: somebody else removed it");
}

/* A busy engine must not keep a death from being known. */
Test(docker_faults, a_death_is_told_though_the_engine_does_not_say_why) {
    struct http_answer late = STATE_137;
    late.delay_ms = 10000;
    expect_death(late, (const char *const[][2]){{"die", ", \"exitCode\": \"3\""}, {NULL, NULL}},
                 "exited: it exited with status 3");
}

static void push_event(struct world *world, const char *action) {
    push(world, action, "");
}

Test(docker_faults, one_that_is_not_healthy_any_more_has_died) {
    struct http_answer answers[] = {
        EMPTY,
        CREATE,
        START,
        {.request = "GET /containers/a/json",
         .status = 200,
         .body = "{\"State\": {\"Running\": true, \"Health\": {\"Status\": \"healthy\"}}}"},
        REMOVE,
        {0}};
    struct world world = open_with(answers, "docker.ready", "healthy");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    push_event(&world, "health_status: healthy");
    bench_nothing_more(world.bench, 50);
    push_event(&world, "health_status: unhealthy");
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(world.bench)->detail,
                     "unhealthy: its health check says that it is not healthy any more");
    close_world(&world);
}

Test(docker_faults, a_health_check_that_nobody_asked_for_ends_nothing) {
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    push_event(&world, "health_status: unhealthy");
    bench_nothing_more(world.bench, 100);
    close_world(&world);
}

Test(docker_faults, what_somebody_else_pauses_or_resumes_is_noticed_once) {
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    push_event(&world, "unpause"); /* nothing new */
    push_event(&world, "pause");
    push_event(&world, "pause");
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_PAUSED);
    push_event(&world, "unpause");
    bench_wait(world.bench, 3);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_RUNNING);
    bench_nothing_more(world.bench, 50);
    close_world(&world);
}

/* Nothing is closed and nothing is answered: the events alone would say nothing for ever. */
Test(docker_faults, an_engine_that_hangs_is_away_until_it_answers_again) {
    struct world world = open_world((struct http_answer[]){
        {.request = "GET /_ping", .status = 200, .body = "OK", .times = 2},
        {.request = "GET /_ping", .status = 200, .body = "OK", .delay_ms = 3000, .times = 3},
        PING,
        EVENTS,
        EMPTY_LIST,
        {0}});
    struct bench *bench = world.bench;
    while (!bench->driver->away(bench->runtime)) loop_turn(&bench->loop);
    while (bench->driver->away(bench->runtime)) loop_turn(&bench->loop);
    close_world(&world);
}

Test(docker_faults, a_death_that_the_events_do_not_say_is_found_in_the_list) {
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(world.bench)->detail, "removed: somebody else removed it");
    close_world(&world);
}

/* The engine may have made it. */
Test(docker_faults, a_create_whose_answer_is_lost_has_failed_only_when_it_is_removed) {
    struct world world = open_world(
        (struct http_answer[]){EMPTY,
                               {.request = "POST /containers/create", .status = 0},
                               {.request = "GET /containers/a/json", .status = 0, .times = 1},
                               {.request = "GET /containers/a/json", .status = 500, .body = "?", .times = 1},
                               INSPECT_OURS,
                               {.request = "DELETE /containers/a", .status = 0, .times = 2},
                               REMOVE,
                               {0}});
    expect_failed(&world, "does not answer");
    cr_assert_eq(http_script_count(world.engine, "DELETE /containers/a"), 3);
    close_world(&world);
}

Test(docker_faults, a_lost_create_removes_nothing_of_somebody_else) {
    struct world world = open_world((struct http_answer[]){
        EMPTY, {.request = "POST /containers/create", .status = 0}, INSPECT, REMOVE, {0}});
    expect_failed(&world, "does not answer");
    cr_assert_eq(http_script_count(world.engine, "DELETE"), 0);
    close_world(&world);
}

Test(docker_faults, one_that_is_not_known_is_removed_only_when_it_is_ours) {
    struct world world = open_world(
        (struct http_answer[]){EMPTY,
                               INSPECT_OURS,
                               REMOVE,
                               {.request = "GET /containers/b/json", .status = 200, .body = RUNNING},
                               {.request = "DELETE /containers/b", .status = 204},
                               {0}});
    bench_destroy_until_gone(world.bench, "a");
    bench_destroy_until_gone(world.bench, "b");
    cr_assert_eq(http_script_count(world.engine, "DELETE /containers/a"), 1);
    cr_assert_eq(http_script_count(world.engine, "DELETE /containers/b"), 0);
    close_world(&world);
}

Test(docker_faults, an_engine_that_answers_too_late_is_one_that_does_not_answer) {
    struct world world = open_with(
        (struct http_answer[]){
            EMPTY,
            {.request = "POST /containers/create", .status = 201, .body = "{}", .delay_ms = 600},
            INSPECT_OURS,
            REMOVE,
            {0}},
        "docker.timeout_ms", "200");
    expect_failed(&world, "does not answer");
    close_world(&world);
}

Test(docker_faults, an_engine_that_answers_slowly_holds_no_other_container_up) {
    struct world world = open_world((struct http_answer[]){
        EMPTY,
        {.request = "POST /containers/create?name=slow", .status = 201, .body = "{}", .delay_ms = 1000},
        CREATE,
        START,
        INSPECT,
        REMOVE,
        {.request = "DELETE /containers/slow", .status = 204},
        {0}});
    bench_create(world.bench, "slow");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    bench_destroy_until_gone(world.bench, "slow"); /* while its create is under way */
    bench_nothing_more(world.bench, 50);
    close_world(&world);
}

Test(docker_faults, an_engine_that_is_too_old_is_asked_for_nothing) {
    struct world world = {.bench = bench_new_scripted()};
    char *path = wp_format("%s/engine", world.bench->dir), *url = wp_format("unix://%s", path);
    world.engine = http_script_start(path, "1.39", (struct http_answer[]){EMPTY, CREATE, {0}});
    bench_set(world.bench, "docker.url", url);
    bench_open_runtime(world.bench);
    bench_create(world.bench, "a");
    bench_nothing_more(world.bench, 300);
    cr_assert_eq(http_script_count(world.engine, "POST"), 0);
    cr_assert_eq(http_script_count(world.engine, "GET /events"), 0);
    close_world(&world);
    free(path);
    free(url);
}

Test(docker_faults, a_name_that_a_lost_create_of_ours_took_is_adopted) {
    struct world world =
        open_world((struct http_answer[]){EMPTY,
                                          {.request = "POST /containers/create", .status = 409, .body = "{}"},
                                          INSPECT_OURS,
                                          {.request = "POST /containers/a/start", .status = 304},
                                          {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    close_world(&world);
}

Test(docker_faults, a_name_that_somebody_else_took_is_left_alone) {
    struct world world =
        open_world((struct http_answer[]){EMPTY,
                                          {.request = "POST /containers/create", .status = 409, .body = "{}"},
                                          {.request = "GET /containers/a/json", .status = 200, .body = "{}"},
                                          {0}});
    expect_failed(&world, "its name is taken by a container of somebody else");
    cr_assert_eq(http_script_count(world.engine, "DELETE"), 0);
    close_world(&world);
}

Test(docker_faults, a_health_check_is_waited_for_and_its_absence_is_said) {
    struct http_answer answers[] = {
        EMPTY,
        CREATE,
        START,
        {.request = "GET /containers/a/json", .status = 200, .body = RUNNING, .times = 1},
        {.request = "GET /containers/a/json",
         .status = 200,
         .body = "{\"State\": {\"Running\": true, \"Health\": {\"Status\": \"starting\"}}}",
         .times = 2},
        {.request = "GET /containers/a/json",
         .status = 200,
         .body = "{\"State\": {\"Running\": true, \"Health\": {\"Status\": \"healthy\"}}}"},
        {0}};
    struct world world = open_with(answers, "docker.ready", "healthy");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    cr_assert_eq(http_script_count(world.engine, "GET /containers/a/json"), 4);
    close_world(&world);
}

Test(docker_faults, a_file_is_tested_for_until_it_is_there) {
    struct http_answer answers[] = {
        EMPTY,
        CREATE,
        START,
        INSPECT,
        {.request = "POST /containers/a/exec", .status = 500, .body = NO_SPACE, .times = 1},
        {.request = "POST /containers/a/exec", .status = 201, .body = "{\"Id\": \"e\"}"},
        {.request = "POST /exec/e/start", .status = 409, .body = "{}", .times = 1},
        {.request = "POST /exec/e/start", .status = 200},
        {.request = "GET /exec/e/json",
         .status = 200,
         .body = "{\"Running\": false, \"ExitCode\": 1}",
         .times = 1},
        {.request = "GET /exec/e/json", .status = 200, .body = "{\"Running\": false, \"ExitCode\": 0}"},
        {0}};
    struct world world = open_with(answers, "docker.ready", "file:/tmp/up");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    close_world(&world);
}

Test(docker_faults, deaths_in_a_gap_of_the_events_are_found_in_the_list) {
    struct world world = open_world((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    http_script_close_streams(world.engine);
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_DIED);
    cr_assert_str_eq(bench_last(world.bench)->detail, "removed: somebody else removed it");
    cr_assert_geq(http_script_count(world.engine, "GET /events"), 2);
    close_world(&world);
}

Test(docker_faults, an_event_in_two_parts_is_one_and_nonsense_is_none) {
    struct world world =
        open_world((struct http_answer[]){PING, EVENTS, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    http_script_push(
        world.engine,
        "nonsense\n\n{}\n{\"Action\": \"die\", \"Actor\": {\"Attributes\": {\"name\": \"b\"}}}\n");
    http_script_push(world.engine, "{\"Action\": \"die\", \"Actor\": {\"Attri");
    bench_nothing_more(world.bench, 100);
    http_script_push(world.engine, "butes\": {\"name\": \"a\", \"exitCode\": \"9\"}}}\n");
    bench_wait(world.bench, 3);
    cr_assert_str_eq(bench_last(world.bench)->detail, "exited: it exited with status 9");
    close_world(&world);
}

static void on_listed(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                      struct wp_str detail) {
    (void)id, (void)state, (void)address, (void)detail;
    ++*(int *)ctx;
}
static int listed_ok = -1;
static void on_list_done(void *ctx, bool ok) {
    (void)ctx;
    listed_ok = ok;
}

Test(docker_faults, one_whose_events_cannot_be_had_again_is_away_until_they_can) {
    struct world world = open_world(
        (struct http_answer[]){PING,
                               {.request = "GET /events", .status = 200, .stream = true, .times = 1},
                               {.request = "GET /events", .status = 500, .body = NO_SPACE, .times = 2},
                               EVENTS,
                               EMPTY_LIST,
                               {0}});
    struct bench *bench = world.bench;
    cr_assert_not(bench->driver->away(bench->runtime));
    http_script_close_streams(world.engine);
    while (!bench->driver->away(bench->runtime)) loop_turn(&bench->loop);
    cr_assert_geq(http_script_count(world.engine, "GET /events"), 2, "once is no reason");
    while (bench->driver->away(bench->runtime)) loop_turn(&bench->loop);
    cr_assert_eq(http_script_count(world.engine, "GET /events"), 4);
    close_world(&world);
}

Test(docker_faults, a_list_that_fails_says_so) {
    struct world world = open_world((struct http_answer[]){
        PING, EVENTS, {.request = "GET /containers/json", .status = 500, .body = NO_SPACE}, {0}});
    int count = 0;
    world.bench->driver->list(world.bench->runtime, on_listed, on_list_done, &count);
    while (listed_ok < 0) loop_turn(&world.bench->loop);
    cr_assert_eq(listed_ok, 0);
    cr_assert_eq(count, 0);
    cr_assert_not(world.bench->driver->away(world.bench->runtime), "it answers");
    close_world(&world);
}

Test(docker_faults, what_a_worker_before_left_is_adopted_or_cleared_away_but_one_that_may_be_started_yet) {
    static const char rows[] =
        "[{\"Names\": [\"/up\"], \"State\": \"running\", \"Labels\": {\"io.warmpool.pool\": \"react\"}},"
        " {\"Names\": [\"/made\"], \"State\": \"created\", \"Labels\": {}}, {\"Names\": [\"/over\"], "
        "\"State\": \"exited\"},"
        " {\"Names\": [\"/going\"], \"State\": \"removing\"}, {\"Names\": []}, 7]";
    struct world world = open_world(
        (struct http_answer[]){PING,
                               EVENTS,
                               {.request = "GET /containers/json", .status = 200, .body = rows},
                               {.request = "GET /containers/up/json", .status = 200, .body = RUNNING},
                               {.request = "DELETE /containers/over", .status = 204},
                               {0}});
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_count(world.bench, WP_CONTAINER_READY), 1);
    cr_assert_eq(bench_count(world.bench, WP_CONTAINER_DIED), 1);
    bench_nothing_more(world.bench, 100);
    close_world(&world);
}
