/* Pulls of the docker driver against a server that answers as the Docker engine does, where a real one would
 * need a registry that is broken in a certain way. tests/e2e/test_docker_pull.py has the real ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "support/docker_world.h"
#include "support/limits.h"

TestSuite(docker_pull, .timeout = TEST_LIMIT_S);

#define PULL "POST /images/create?fromImage="
#define PULL_OPEN                                                                                            \
    { .request = PULL, .status = 200, .stream = true }
#define LAYER                                                                                                \
    "{\"status\": \"Downloading\", \"progressDetail\": {\"current\": 43, \"total\": 100}, \"id\": "          \
    "\"6e9f\"}\r\n"
#define FOUND "GET /images/warmpool-test:1"

static void wait_for(struct docker_world *world, const char *request, int count) {
    while (http_script_count(world->engine, request) < count) loop_turn(&world->bench->loop);
}

static void expect_lacks(struct docker_world *world, const char *philosophy, const char *words) {
    char why[512];
    struct bench *bench = world->bench;
    cr_assert_not(bench->driver->can_make(bench->runtime, philosophy));
    bench->driver->lacks(bench->runtime, philosophy, why, sizeof why);
    cr_expect_str_eq(why, words);
}

Test(docker_pull, nothing_is_pulled_unless_it_is_asked_for) {
    struct docker_world world = docker_world_open((struct http_answer[]){EMPTY, CREATE, START, INSPECT, {0}});
    wait_for(&world, FOUND, 1);
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    cr_expect_eq(http_script_count(world.engine, PULL), 0);
    expect_lacks(&world, "react", "the image warmpool-test:1 is not there");
    docker_world_close(&world);
}

Test(docker_pull, creates_wait_for_an_image_that_comes) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){EMPTY,
                               {.request = FOUND, .status = 404, .times = 1},
                               {.request = FOUND, .status = 200, .body = "{}"},
                               {.request = PULL,
                                .status = 200,
                                .delay_ms = 1000,
                                .body = LAYER "{\"status\": \"Status: Downloaded newer image\"}\r\n"},
                               CREATE,
                               START,
                               INSPECT,
                               {0}},
        "docker.pull", "missing");
    wait_for(&world, PULL, 1);
    bench_create(world.bench, "a");
    bench_nothing_more(world.bench, 100);
    cr_expect_eq(http_script_count(world.engine, "POST /containers/create"), 0);
    bench_wait(world.bench, 1);
    cr_expect_eq(bench_last(world.bench)->state, WP_CONTAINER_READY);
    cr_expect_eq(http_script_count(world.engine, PULL), 1);
    cr_expect(world.bench->driver->can_make(world.bench->runtime, "react"));
    struct wp_stats stats = {0};
    world.bench->driver->report(world.bench->runtime, &stats);
    cr_expect_eq(stats.image_pull_bytes, 43);
    cr_expect_eq(stats.images_pulling, 0);
    docker_world_close(&world);
}

/* It was there at the latest look. */
Test(docker_pull, a_create_that_finds_it_gone_waits_until_it_is_pulled) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){
            EMPTY,
            {.request = FOUND, .status = 200, .body = "{}"},
            {.request = PULL, .status = 200, .body = "{}\r\n"},
            {.request = "POST /containers/create", .status = 404, .body = "{}", .times = 1},
            CREATE,
            START,
            INSPECT,
            {0}},
        "docker.pull", "missing");
    wait_for(&world, FOUND, 1);
    bench_create_until(world.bench, "a", WP_CONTAINER_READY);
    cr_expect_eq(http_script_count(world.engine, PULL), 1);
    docker_world_close(&world);
}

Test(docker_pull, a_create_that_misses_something_else_does_not_wait_for_ever) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){EMPTY,
                               {.request = FOUND, .status = 200, .body = "{}"},
                               {.request = PULL, .status = 200, .body = "{}\r\n"},
                               {.request = "POST /containers/create", .status = 404, .body = "{}"},
                               {.request = "DELETE /containers/a", .status = 404},
                               {0}},
        "docker.pull", "missing");
    wait_for(&world, FOUND, 1);
    bench_create_until(world.bench, "a", WP_CONTAINER_FAILED);
    docker_world_close(&world);
}

Test(docker_pull, an_error_inside_a_stream_that_began_well_is_its_end) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){EMPTY,
                               {.request = PULL,
                                .status = 200,
                                .delay_ms = 100,
                                .body = LAYER "{\"errorDetail\": {\"message\": \"no space left on device\"}, "
                                              "\"error\": \"no space left on device\"}\r\n"},
                               {0}},
        "docker.pull", "missing");
    wait_for(&world, PULL, 1);
    bench_create_fails(world.bench, "a",
                       "the image warmpool-test:1 could not be pulled: no space left on device");
    cr_expect_eq(http_script_count(world.engine, "POST /containers/create"), 0);
    docker_world_close(&world);
}

#define TEN "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Of the 1000 bytes less than 512 are kept: not half a letter, which no record may have. */
Test(docker_pull, long_words_of_a_registry_are_cut_between_two_letters) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){EMPTY,
                               {.request = PULL,
                                .status = 500,
                                .body = "{\"message\": \"" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\"}"},
                               {0}},
        "docker.pull", "missing");
    char why[2][512] = {"", ""};
    struct wp_stats stats = {0};
    struct bench *bench = world.bench;
    while (stats.image_pull_failures == 0) {
        loop_turn(&bench->loop);
        bench->driver->report(bench->runtime, &stats);
    }
    bench->driver->lacks(bench->runtime, "react", why[0], sizeof why[0]);
    bench->driver->lacks(bench->runtime, "react", why[1], sizeof why[1] - 1);
    for (int i = 0; i < 2; i++) {
        cr_expect_gt(strlen(why[i]), 500);
        cr_expect(wp_str_is_utf8(wp_str(why[i])), "%s", why[i]);
    }
    cr_expect(wp_str_is_utf8(wp_str(stats.images_missing[0].why)));
    docker_world_close(&world);
}

/* The first try again comes after a second, the second after two more. */
Test(docker_pull, a_pull_that_fails_is_tried_again_after_a_pause_that_doubles) {
    struct docker_world world = docker_world_open_with(
        (struct http_answer[]){
            EMPTY, {.request = PULL, .status = 500, .body = "{\"message\": \"unauthorized\"}"}, {0}},
        "docker.pull", "missing");
    wait_for(&world, PULL, 1);
    int64_t begin = wp_clock_us();
    wait_for(&world, PULL, 3);
    cr_expect_geq(wp_clock_us() - begin, 2000000);
    struct wp_stats stats = {0};
    while (stats.image_pull_failures < 3) {
        loop_turn(&world.bench->loop);
        world.bench->driver->report(world.bench->runtime, &stats);
    }
    cr_expect_eq(stats.images_missing_count, 1);
    cr_expect_str_eq(stats.images_missing[0].subject, "docker.image");
    cr_expect_str_eq(stats.images_missing[0].why,
                     "host " SCRIPTED_HOST ": the image warmpool-test:1 could not be pulled: unauthorized");
    cr_expect(strstr(stats.images_missing[0].mend, "set docker.config"), "%s", stats.images_missing[0].mend);
    docker_world_close(&world);
}

Test(docker_pull, a_stream_in_which_nothing_comes_is_ended) {
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){EMPTY, PULL_OPEN, {0}},
        (const char *const[]){"docker.pull", "missing", "docker.timeout_ms", "2000", NULL});
    wait_for(&world, PULL, 1);
    bench_create_fails(world.bench, "a",
                       "the image warmpool-test:1 could not be pulled: nothing was heard of it for "
                       "docker.timeout_ms = 2000");
    docker_world_close(&world);
}

/* Of how many of the images it is said that they are missing, in these words. */
static int count_lacking(struct docker_world *world, const char *words) {
    static const char *const philosophies[] = {"react", "b", "c"};
    int count = 0;
    for (int i = 0; i < 3; i++) {
        char why[512];
        world->bench->driver->lacks(world->bench->runtime, philosophies[i], why, sizeof why);
        count += strstr(why, words) != NULL;
    }
    return count;
}

Test(docker_pull, two_images_are_pulled_at_once_each_once_and_the_next_when_one_has_ended) {
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){EMPTY, PULL_OPEN, {0}},
        (const char *const[]){"docker.pull", "missing", "docker.image.b", "registry.example:5000/b",
                              "docker.image.c", "c@sha256:0123", "docker.image.same", "c@sha256:0123", NULL});
    static const char *const pulls[] = {PULL "warmpool-test&tag=1", PULL "registry.example:5000/b&tag=latest",
                                        PULL "c&tag=sha256:0123"};
    wait_for(&world, PULL, 2);
    bench_nothing_more(world.bench, 200);
    cr_expect_eq(http_script_count(world.engine, PULL), 2,
                 "which two depends on whose absence is known first");
    http_script_push(world.engine, LAYER);
    while (count_lacking(&world, "(43 %)") < 2) loop_turn(&world.bench->loop);
    cr_expect_eq(count_lacking(&world, "is being pulled"), 3);
    cr_expect_eq(count_lacking(&world, "(43 %)"), 2);
    http_script_close_streams(world.engine);
    for (int i = 0; i < 3; i++) wait_for(&world, pulls[i], 1);
    docker_world_close(&world);
}

#define LINE(current)                                                                                        \
    "{\"status\": \"Downloading\", \"progressDetail\": {\"current\": " #current                              \
    ", \"total\": 100}, \"id\": \"6e9f\"}\r\n"

/* What comes on standard error while lines of progress come, until it says how far it is. */
Test(docker_pull, progress_is_logged_every_ten_seconds) {
    struct docker_world world =
        docker_world_open_with((struct http_answer[]){EMPTY, PULL_OPEN, {0}}, "docker.pull", "missing");
    char log[4096] = "", *line;
    int ends[2], before = dup(2);
    cr_assert_eq(pipe(ends), 0);
    wait_for(&world, PULL, 1);
    int64_t begin = wp_clock_us();
    dup2(ends[1], 2);
    http_script_push(world.engine, LINE(10));
    while (wp_clock_us() - begin < 11000000) loop_turn(&world.bench->loop);
    for (int i = 0; i < 20; i++) {
        http_script_push(world.engine, LINE(70));
        loop_turn(&world.bench->loop);
    }
    dup2(before, 2);
    ssize_t length = read(ends[0], log, sizeof log - 1);
    cr_assert_gt(length, 0);
    line = strstr(log, "event=image_pulling");
    cr_assert(line, "%s", log);
    cr_expect(strstr(line, "image=warmpool-test:1 bytes=70 of=100 s=1"), "%s", log);
    cr_expect_eq(strstr(line + 1, "event=image_pulling"), NULL, "once: %s", log);
    docker_world_close(&world);
}

Test(docker_pull, a_pull_holds_up_no_other_create_and_no_stop) {
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){
            EMPTY, {.request = FOUND, .status = 200, .body = "{}"}, PULL_OPEN, CREATE, START, INSPECT, {0}},
        (const char *const[]){"docker.image.special", "special:1", "docker.pull.special", "missing",
                              "host.creates", "1", NULL});
    struct bench *bench = world.bench;
    struct wp_container_spec spec = {
        .id = WP_STR("waits"), .philosophy = WP_STR("special"), .limits = {50, 256}};
    wait_for(&world, PULL "special&tag=1", 1);
    bench->driver->create(bench->runtime, &spec);
    bench_create_until(bench, "a", WP_CONTAINER_READY);
    bench_destroy_until_gone(bench, "waits");
    int64_t begin = wp_clock_us();
    docker_world_close(&world);
    cr_expect_lt(wp_clock_us() - begin, 15000000, "it would wait 20 s for what it waits for");
}

Test(docker_pull, one_that_is_there_is_pulled_at_the_start_and_at_intervals_with_always) {
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){EMPTY,
                               {.request = FOUND, .status = 200, .body = "{}"},
                               {.request = PULL, .status = 200, .body = "{}\r\n"},
                               {0}},
        (const char *const[]){"docker.pull", "always", "docker.pull_interval", "1", NULL});
    wait_for(&world, PULL, 1);
    int64_t begin = wp_clock_us();
    wait_for(&world, PULL, 3);
    cr_expect_geq(wp_clock_us() - begin, 1000000);
    cr_expect(world.bench->driver->can_make(world.bench->runtime, "react"));
    docker_world_close(&world);
}

Test(docker_pull, credentials_that_cannot_be_read_are_a_failure_that_names_the_file) {
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){EMPTY, {0}},
        (const char *const[]){"docker.pull", "missing", "docker.config", "/nowhere/config.json", NULL});
    wait_for(&world, FOUND, 1);
    while (world.bench->driver->can_make(world.bench->runtime, "react")) loop_turn(&world.bench->loop);
    bench_create_fails(
        world.bench, "a",
        "the image warmpool-test:1 could not be pulled: docker.config = /nowhere/config.json cannot be "
        "read: No such file or directory");
    cr_expect_eq(http_script_count(world.engine, PULL), 0);
    docker_world_close(&world);
}

Test(docker_pull, an_image_that_the_configuration_names_when_it_is_read_again_is_pulled) {
    struct docker_world world = docker_world_open_set(
        (struct http_answer[]){EMPTY, {.request = FOUND, .status = 200, .body = "{}"}, PULL_OPEN, {0}},
        (const char *const[]){"docker.pull", "missing", "docker.image.react", "warmpool-test:1", NULL});
    struct bench *bench = world.bench;
    wait_for(&world, FOUND, 1);
    for (int round = 1; round <= 3; round++) {
        bench_set(bench, "docker.image.react", "new:2");
        bench->driver->configure(bench->runtime);
        wait_for(&world, "GET /images/new:2/json", round);
        wait_for(&world, PULL "new&tag=2", 1);
        while (bench->driver->can_make(bench->runtime, "react")) loop_turn(&bench->loop);
        expect_lacks(&world, "react", "the image new:2 is being pulled");
        bench_set(bench, "docker.image.react", "warmpool-test:1");
        bench->driver->configure(bench->runtime);
        cr_expect(bench->driver->can_make(bench->runtime, "react"));
    }
    cr_expect_eq(http_script_count(world.engine, PULL), 1, "once, while it goes on");
    struct wp_stats stats = {0};
    bench->driver->report(bench->runtime, &stats);
    cr_expect_eq(stats.images_missing_count, 0, "nothing lacks an image that is not named");
    docker_world_close(&world);
}
