/* The docker driver against a server that does what a real engine cannot be made to do: errors, nonsense,
 * silence, answers that are lost. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "support/docker_world.h"
#include "support/limits.h"

TestSuite(docker_faults, .timeout = TEST_LIMIT_S);

static void expect_failed(struct docker_world *world, const char *part) {
    const struct told *told = bench_create_until(world->bench, "a", WP_CONTAINER_FAILED);
    cr_assert(strstr(told->detail, part), "%s", told->detail);
    bench_nothing_more(world->bench, 50);
}

Test(docker_faults, a_create_that_the_engine_refuses_has_failed_with_its_words) {
    struct docker_world world = docker_world_open(
        (struct http_answer[]){EMPTY,
                               {.request = "POST /containers/create", .status = 500, .body = NO_SPACE},
                               {.request = "DELETE /containers/a", .status = 404},
                               {0}});
    expect_failed(&world, "it could not be created: no space left on device");
    docker_world_close(&world);
}

/* Its request gets another container at once, and the engine may take long, as when it is full. */
Test(docker_faults, one_that_cannot_be_started_has_failed_at_once_however_long_its_removal_takes) {
    struct docker_world world = docker_world_open((struct http_answer[]){
        EMPTY,
        CREATE,
        {.request = "POST /containers/a/start", .status = 500, .body = "?"},
        {.request = "DELETE /containers/a", .status = 500, .body = NO_SPACE, .times = 2},
        REMOVE,
        {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_FAILED);
    cr_assert_leq(http_script_count(world.engine, "DELETE /containers/a"), 1,
                  "only its removal is left to do");
    cr_assert_str_eq(
        bench_last(world.bench)->detail,
        "it could not be started: the Docker engine answered POST /containers/a/start with status 500");
    while (http_script_count(world.engine, "DELETE /containers/a") < 3) loop_turn(&world.bench->loop);
    bench_nothing_more(world.bench, 50);
    docker_world_close(&world);
}

/* As when the worker runs in a container and its folder is no volume. */
Test(docker_faults, an_engine_that_does_not_see_the_folder_of_the_first_process_says_what_to_set) {
    static const char *const clean[] = {"pool.clean", "true", "host.claims", "/tmp/warmpool-not-seen", NULL};
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){EMPTY,
                               CREATE,
                               {.request = "POST /containers/a/start",
                                .status = 400,
                                .body = "{\"message\": \"exec: /run/warmpool/init: no such file\"}"},
                               REMOVE,
                               {0}},
        clean);
    expect_failed(&world,
                  "the engine must see host.claims, without noexec (or set pool.clean = false): exec: ");
    docker_world_close(&world);
}

Test(docker_faults, one_that_cannot_be_looked_at_has_failed) {
    struct docker_world world = docker_world_open(
        (struct http_answer[]){EMPTY,
                               CREATE,
                               START,
                               {.request = "GET /containers/a/json", .status = 500, .body = NO_SPACE},
                               REMOVE,
                               {0}});
    expect_failed(&world, "it could not be inspected");
    docker_world_close(&world);
}

Test(docker_faults, nonsense_instead_of_json_is_no_running_container) {
    struct docker_world world = docker_world_open(
        (struct http_answer[]){EMPTY,
                               CREATE,
                               START,
                               {.request = "GET /containers/a/json", .status = 200, .body = "[1, \"x\""},
                               REMOVE,
                               {0}});
    expect_failed(&world, "before it was ready");
    docker_world_close(&world);
}

Test(docker_faults, a_removal_is_tried_until_the_engine_says_that_it_is_gone) {
    struct docker_world world = docker_world_open((struct http_answer[]){
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
    docker_world_close(&world);
}

/* As when a worker stops: an engine that is busy would make all that wait, to remove them again. */
Test(docker_faults, of_several_that_are_destroyed_those_in_the_queue_are_never_made) {
    struct docker_world world =
        docker_world_open_with((struct http_answer[]){EMPTY, CREATE, REMOVE, {0}}, "host.creates", "1");
    static const char *const ids[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) bench_create(world.bench, ids[i]);
    for (int i = 0; i < 3; i++) bench_destroy(world.bench, ids[i]);
    bench_wait(world.bench, 3);
    cr_expect_eq(bench_count(world.bench, WP_CONTAINER_GONE), 3);
    cr_expect_eq(http_script_count(world.engine, "POST /containers/create"), 1);
    docker_world_close(&world);
}

Test(docker_faults, what_somebody_else_pauses_or_resumes_is_noticed_once) {
    struct docker_world world =
        docker_world_open((struct http_answer[]){EMPTY, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    docker_world_push(&world, "unpause", ""); /* nothing new */
    docker_world_push(&world, "pause", "");
    docker_world_push(&world, "pause", "");
    bench_wait(world.bench, 2);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_PAUSED);
    docker_world_push(&world, "unpause", "");
    bench_wait(world.bench, 3);
    cr_assert_eq(bench_last(world.bench)->state, WP_CONTAINER_RUNNING);
    bench_nothing_more(world.bench, 50);
    docker_world_close(&world);
}

/* Nothing is closed and nothing is answered: the events alone would say nothing for ever. */
Test(docker_faults, an_engine_that_hangs_is_away_until_it_answers_again) {
    struct docker_world world = docker_world_open((struct http_answer[]){
        {.request = "GET /_ping", .status = 200, .body = "OK", .times = 2},
        {.request = "GET /_ping", .status = 200, .body = "OK", .delay_ms = 3000, .times = 3},
        PING,
        EVENTS,
        EMPTY_LIST,
        {0}});
    struct bench *bench = world.bench;
    while (!bench->driver->away(bench->runtime)) loop_turn(&bench->loop);
    while (bench->driver->away(bench->runtime)) loop_turn(&bench->loop);
    docker_world_close(&world);
}

/* The engine may have made it. */
Test(docker_faults, a_create_whose_answer_is_lost_has_failed_only_when_it_is_removed) {
    struct docker_world world = docker_world_open(
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
    docker_world_close(&world);
}

Test(docker_faults, a_lost_create_removes_nothing_of_somebody_else) {
    struct docker_world world = docker_world_open((struct http_answer[]){
        EMPTY, {.request = "POST /containers/create", .status = 0}, INSPECT, REMOVE, {0}});
    expect_failed(&world, "does not answer");
    cr_assert_eq(http_script_count(world.engine, "DELETE"), 0);
    docker_world_close(&world);
}

Test(docker_faults, one_that_is_not_known_is_removed_only_when_it_is_ours) {
    struct docker_world world = docker_world_open(
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
    docker_world_close(&world);
}

Test(docker_faults, an_engine_that_answers_too_late_is_one_that_does_not_answer) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){
            EMPTY,
            {.request = "POST /containers/create", .status = 201, .body = "{}", .delay_ms = 600},
            INSPECT_OURS,
            REMOVE,
            {0}},
        "docker.timeout_ms", "200");
    expect_failed(&world, "does not answer");
    docker_world_close(&world);
}

Test(docker_faults, an_engine_that_answers_slowly_holds_no_other_container_up) {
    struct docker_world world = docker_world_open((struct http_answer[]){
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
    docker_world_close(&world);
}

Test(docker_faults, an_engine_that_is_too_old_is_asked_for_nothing) {
    struct docker_world world = {.bench = bench_new_scripted()};
    char *path = wp_format("%s/engine", world.bench->dir), *url = wp_format("unix://%s", path);
    world.engine = http_script_start(path, "1.39", (struct http_answer[]){EMPTY, CREATE, {0}});
    bench_set(world.bench, "docker.url", url);
    bench_open_runtime(world.bench);
    bench_create(world.bench, "a");
    bench_nothing_more(world.bench, 300);
    cr_assert_eq(http_script_count(world.engine, "POST"), 0);
    cr_assert_eq(http_script_count(world.engine, "GET /events"), 0);
    docker_world_close(&world);
    free(path);
    free(url);
}

Test(docker_faults, a_name_that_a_lost_create_of_ours_took_is_adopted) {
    struct docker_world world = docker_world_open(
        (struct http_answer[]){EMPTY,
                               {.request = "POST /containers/create", .status = 409, .body = "{}"},
                               INSPECT_OURS,
                               {.request = "POST /containers/a/start", .status = 304},
                               {0}});
    bench_create(world.bench, "a");
    bench_wait(world.bench, 2);
    cr_assert_eq(world.bench->told[0].state, WP_CONTAINER_READY);
    cr_assert_eq(world.bench->told[1].state, WP_CONTAINER_OUTDATED, "it has no label of its definition");
    docker_world_close(&world);
}

Test(docker_faults, a_name_that_somebody_else_took_is_left_alone) {
    struct docker_world world = docker_world_open(
        (struct http_answer[]){EMPTY,
                               {.request = "POST /containers/create", .status = 409, .body = "{}"},
                               {.request = "GET /containers/a/json", .status = 200, .body = "{}"},
                               {0}});
    expect_failed(&world, "its name is taken by a container of somebody else");
    cr_assert_eq(http_script_count(world.engine, "DELETE"), 0);
    docker_world_close(&world);
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
    struct docker_world world = docker_world_open_with(answers, "docker.ready", "healthy");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    cr_assert_eq(http_script_count(world.engine, "GET /containers/a/json"), 4);
    docker_world_close(&world);
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
    struct docker_world world = docker_world_open_with(answers, "docker.ready", "file:/tmp/up");
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    docker_world_close(&world);
}

Test(docker_faults, an_event_in_two_parts_is_one_and_nonsense_is_none) {
    struct docker_world world =
        docker_world_open((struct http_answer[]){PING, EVENTS, CREATE, START, INSPECT, REMOVE, {0}});
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    http_script_push(
        world.engine,
        "nonsense\n\n{}\n{\"Action\": \"die\", \"Actor\": {\"Attributes\": {\"name\": \"b\"}}}\n");
    http_script_push(world.engine, "{\"Action\": \"die\", \"Actor\": {\"Attri");
    bench_nothing_more(world.bench, 100);
    http_script_push(world.engine, "butes\": {\"name\": \"a\", \"exitCode\": \"9\"}}}\n");
    bench_wait(world.bench, 3);
    cr_assert_str_eq(bench_last(world.bench)->detail, "exited: it exited with status 9");
    docker_world_close(&world);
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
    struct docker_world world = docker_world_open(
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
    docker_world_close(&world);
}

Test(docker_faults, a_list_that_fails_says_so) {
    struct docker_world world = docker_world_open((struct http_answer[]){
        PING, EVENTS, {.request = "GET /containers/json", .status = 500, .body = NO_SPACE}, {0}});
    int count = 0;
    world.bench->driver->list(world.bench->runtime, on_listed, on_list_done, &count);
    while (listed_ok < 0) loop_turn(&world.bench->loop);
    cr_assert_eq(listed_ok, 0);
    cr_assert_eq(count, 0);
    cr_assert_not(world.bench->driver->away(world.bench->runtime), "it answers");
    docker_world_close(&world);
}

Test(docker_faults, what_a_worker_before_left_is_adopted_or_cleared_away_but_one_that_may_be_started_yet) {
    static const char rows[] =
        "[{\"Names\": [\"/up\"], \"State\": \"running\", \"Labels\": {\"io.warmpool.pool\": \"react\"}},"
        " {\"Names\": [\"/made\"], \"State\": \"created\", \"Labels\": {}}, {\"Names\": [\"/over\"], "
        "\"State\": \"exited\"},"
        " {\"Names\": [\"/going\"], \"State\": \"removing\"}, {\"Names\": []}, 7]";
    struct docker_world world = docker_world_open(
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
    docker_world_close(&world);
}
