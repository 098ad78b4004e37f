/* The docker driver against a server that answers as a script says (http_script.h): what its tests share. */
#ifndef TESTS_DOCKER_WORLD_H
#define TESTS_DOCKER_WORLD_H
#include "support/http_script.h"
#include "support/runtime_bench.h"

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

struct docker_world {
    struct bench *bench;
    struct http_script *engine;
};

/* Opens the driver, and returns when it hears events and has its first list. key: a setting; NULL: none. */
struct docker_world docker_world_open_with(const struct http_answer *answers, const char *key,
                                           const char *value);
/* The same with several: key, value, key, value, ..., NULL. */
struct docker_world docker_world_open_set(const struct http_answer *answers, const char *const *settings);
struct docker_world docker_world_open(const struct http_answer *answers);
void docker_world_close(struct docker_world *world);
/* An event of the container a. attribute: more of its attributes, as ", \"signal\": \"9\"". */
void docker_world_push(struct docker_world *world, const char *action, const char *attribute);

#endif
