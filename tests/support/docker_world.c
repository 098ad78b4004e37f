/* Owns the worlds of tests of the docker driver. */
#include "support/docker_world.h"
#include <stdlib.h>

/* The driver asks what there is once it hears the events; what is made before that has to be in the answer.
 */
static void wait_until_listed(struct docker_world *world) {
    while (http_script_count(world->engine, "GET /events") == 0 ||
           http_script_count(world->engine, "GET /containers/json") == 0)
        loop_turn(&world->bench->loop);
}

struct docker_world docker_world_open_set(const struct http_answer *answers, const char *const *settings) {
    struct docker_world world = {.bench = bench_new_scripted()};
    char *path = wp_format("%s/engine", world.bench->dir), *url = wp_format("unix://%s", path);
    world.engine = http_script_start(path, "1.41", answers);
    bench_set(world.bench, "docker.url", url);
    for (; *settings; settings += 2) bench_set(world.bench, settings[0], settings[1]);
    bench_open_runtime(world.bench);
    wait_until_listed(&world);
    free(path);
    free(url);
    return world;
}

struct docker_world docker_world_open_with(const struct http_answer *answers, const char *key,
                                           const char *value) {
    return docker_world_open_set(answers, (const char *const[]){key, value, NULL});
}

struct docker_world docker_world_open(const struct http_answer *answers) {
    return docker_world_open_with(answers, NULL, NULL);
}

void docker_world_close(struct docker_world *world) {
    bench_close_runtime(world->bench);
    http_script_stop(world->engine);
    bench_close(world->bench);
}

void docker_world_push(struct docker_world *world, const char *action, const char *attribute) {
    char *line = wp_format("{\"Action\": \"%s\", \"Actor\": {\"Attributes\": {\"name\": \"a\"%s}}}\n", action,
                           attribute);
    http_script_push(world->engine, line);
    free(line);
}
