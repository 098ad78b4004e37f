/* The docker driver against a real engine: which containers it calls outdated, and what it says that they
 * were made of. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "support/engine_shared.h"
#include "support/limits.h"
#include "support/runtime_bench.h"

TestSuite(docker_outdated, .init = engine_shared, .timeout = TEST_LIMIT_S);

static char id[96], image[128]; /* of the test's container */

/* With an image that has a name of its own, and one container that is ready. */
static struct bench *open_bench(void) {
    struct bench *bench = bench_new_docker(FOREVER);
    snprintf(id, sizeof id, "wp-%s-a", bench->config.host.name);
    snprintf(image, sizeof image, "wp-test-%s:1", bench->config.host.name);
    bench_engine("post '/images/warmpool-test:1/tag?repo=%.*s&tag=1'", (int)strlen(image) - 2, image);
    bench_set(bench, "docker.image", image);
    bench_open_runtime(bench);
    bench_create_until(bench, id, WP_CONTAINER_READY);
    return bench;
}

static void close_bench(struct bench *bench) {
    bench_close_runtime(bench);
    bench_engine("clean %s", bench_docker_label(bench));
    bench_engine("delete '/images/%s?force=1'", image);
    bench_close(bench);
}

/* The image's name means another image from now on: one that is made of the container. */
static void move_image(void) {
    bench_engine("post '/commit?pause=0&container=%s&repo=%.*s&tag=1' '{\"Env\": [\"MOVED=1\"]}'", id,
                 (int)strlen(image) - 2, image);
}

static struct wp_container_facts facts(struct bench *bench) {
    struct wp_container_facts facts;
    cr_assert(bench->driver->facts(bench->runtime, wp_str(id), &facts));
    return facts;
}

static void on_listed(void *ctx, struct wp_str name, enum wp_container_state state, struct wp_str address,
                      struct wp_str detail) {
    (void)ctx, (void)name, (void)state, (void)address, (void)detail;
}
static void on_list_done(void *ctx, bool ok) {
    *(bool *)ctx = ok;
}

/* As a reconcile does: the engine is asked for images and containers. */
static void list(struct bench *bench) {
    bool done = false;
    bench->driver->list(bench->runtime, on_listed, on_list_done, &done);
    while (!done) loop_turn(&bench->loop);
}

static void expect_outdated(struct bench *bench, const char *why) {
    while (bench_count(bench, WP_CONTAINER_OUTDATED) == 0) {
        list(bench);
        loop_turn(&bench->loop);
    }
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_OUTDATED);
    cr_assert_str_eq(bench_last(bench)->detail, why);
    cr_assert_str_eq(facts(bench).outdated, why);
    list(bench);
    bench_nothing_more(bench, 50); /* it is told once */
}

Test(docker_outdated, one_whose_images_name_has_moved_and_it_still_says_what_it_was_made_of) {
    struct bench *bench = open_bench();
    char made_of[256];
    snprintf(made_of, sizeof made_of, "%s", facts(bench).image);
    cr_assert_eq(strncmp(made_of, image, strlen(image)), 0, "%s", made_of);
    cr_assert_eq(strncmp(made_of + strlen(image), "@sha256:", 8), 0, "%s", made_of);
    cr_assert_null(facts(bench).outdated);
    list(bench);
    cr_assert_null(facts(bench).outdated);
    move_image();
    expect_outdated(bench, "the name of its image means another image by now");
    cr_assert_str_eq(facts(bench).image, made_of);
    bench_close_runtime(bench);
    bench_open_runtime(bench); /* the next worker */
    bench->count = 0;
    expect_outdated(bench, "the name of its image means another image by now");
    cr_assert_str_eq(facts(bench).image, made_of);
    close_bench(bench);
}

Test(docker_outdated, one_that_was_made_before_the_name_moved_and_not_one_that_was_made_since) {
    struct bench *bench = open_bench();
    list(bench);
    move_image();
    char first[96];
    snprintf(first, sizeof first, "%s", id);
    snprintf(id, sizeof id, "wp-%s-b", bench->config.host.name);
    bench_create_until(bench, id,
                       WP_CONTAINER_READY); /* of the new image, which the driver has not seen yet */
    cr_assert_null(facts(bench).outdated);
    while (bench_count(bench, WP_CONTAINER_OUTDATED) == 0) {
        list(bench);
        loop_turn(&bench->loop);
    }
    cr_assert_str_eq(bench_last(bench)->id, first);
    cr_assert_null(facts(bench).outdated, "the second is of the new one");
    close_bench(bench);
}

Test(docker_outdated, one_of_another_definition_when_the_configuration_is_read_again) {
    struct bench *bench = open_bench();
    bench_set(bench, "docker.environment", "A=1");
    bench->driver->configure(bench->runtime);
    bench_wait(bench, 2); /* without a look at the engine */
    expect_outdated(bench, "the configuration of its philosophy has changed since it was made");
    bench->driver->configure(bench->runtime);
    bench_nothing_more(bench, 50);
    close_bench(bench);
}

Test(docker_outdated, one_of_another_image_when_the_configuration_names_that) {
    struct bench *bench = open_bench();
    char other[sizeof image + 8];
    snprintf(other, sizeof other, "%.*s:2", (int)strlen(image) - 2, image);
    bench_engine("post '/commit?pause=0&container=%s&repo=%.*s&tag=2' '{\"Env\": [\"OTHER=1\"]}'", id,
                 (int)strlen(image) - 2, image);
    bench_set(bench, "docker.image.react", other);
    bench->driver->configure(bench->runtime);
    expect_outdated(bench, "the name of its image means another image by now");
    bench_set(bench, "docker.image.react", image);
    bench->driver->configure(bench->runtime);
    cr_assert_null(facts(bench).outdated, "it is what is wanted again");
    bench_engine("delete '/images/%s?force=1'", other);
    close_bench(bench);
}

Test(docker_outdated, one_of_another_definition_when_the_next_worker_adopts_it) {
    struct bench *bench = open_bench();
    bench_close_runtime(bench);
    bench_set(bench, "docker.environment", "A=1");
    bench_open_runtime(bench);
    bench->count = 0;
    expect_outdated(bench, "the configuration of its philosophy has changed since it was made");
    close_bench(bench);
}

Test(docker_outdated, none_when_its_image_is_missing_or_has_another_name_too) {
    struct bench *bench = open_bench();
    bench_engine("delete '/images/%s?force=1'", image);
    list(bench);
    list(bench);
    cr_assert_null(facts(bench).outdated);
    bench_engine("post '/images/warmpool-test:1/tag?repo=%.*s&tag=1'", (int)strlen(image) - 2, image);
    bench_close_runtime(bench);
    bench_set(bench, "docker.image", "warmpool-test:1");
    bench_open_runtime(bench);
    list(bench);
    while (bench_count(bench, WP_CONTAINER_READY) < 2) loop_turn(&bench->loop);
    list(bench);
    cr_assert_null(facts(bench).outdated);
    close_bench(bench);
}
