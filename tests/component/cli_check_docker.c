/* What `warmpool check` finds out about a Docker engine. */
#include "cli/check_docker.h"
#include "support/http_script.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/buf.h"

static struct wp_config config;
static char dir[] = "/tmp/wp-check-XXXXXX", *path, *said;
static size_t said_size;

static void set(const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&config, key, value, &error), WP_OK, "%s", error.text);
}

static void start(void) {
    cr_assert(mkdtemp(dir));
    path = wp_format("%s/engine", dir);
    char *url = wp_format("unix://%s", path);
    wp_config_init(&config);
    set("docker.url", url);
    free(url);
}

static void stop(void) {
    unlink(path);
    rmdir(dir);
    free(path);
    free(said);
    wp_config_done(&config);
}

TestSuite(check_docker, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* Checks; returns how many things failed. */
static int check(void) {
    free(said);
    struct wp_check check = {.config = &config, .out = open_memstream(&said, &said_size)};
    wp_check_docker(&check);
    fclose(check.out);
    return check.failed;
}

static void expect_said(const char *part) {
    cr_expect(strstr(said, part), "%s", said);
}

#define PING                                                                                                 \
    { .request = "GET /_ping", .status = 200, .body = "OK" }
#define VERSION                                                                                              \
    { .request = "GET /version", .status = 200, .body = "{\"Version\": \"20.10\", \"ApiVersion\": \"1.41\"}" }

Test(check_docker, an_engine_that_has_every_image_passes) {
    struct http_answer answers[] = {
        PING, VERSION, {.request = "GET /images/", .status = 200, .body = "{}"}, {0}};
    struct http_script *engine = http_script_start(path, "1.41", answers);
    set("docker.image.react", "agents/react:7");
    cr_assert_eq(check(), 0, "%s", said);
    expect_said("engine 20.10 (API 1.41) at unix://");
    expect_said("agents/react:7 is there");
    http_script_stop(engine);
}

Test(check_docker, a_missing_image_is_named_with_how_to_get_it) {
    struct http_answer answers[] = {
        PING, VERSION, {.request = "GET /images/debian:trixie-slim", .status = 200, .body = "{}"}, {0}};
    struct http_script *engine = http_script_start(path, "1.41", answers);
    set("docker.image.react", "agents/react:7");
    cr_assert_eq(check(), 1, "%s", said);
    expect_said("agents/react:7 is not there; docker pull it");
    http_script_stop(engine);
}

Test(check_docker, a_missing_image_that_would_be_pulled_is_no_failure) {
    struct http_answer answers[] = {
        PING, VERSION, {.request = "GET /images/debian:trixie-slim", .status = 200, .body = "{}"}, {0}};
    struct http_script *engine = http_script_start(path, "1.41", answers);
    set("docker.image.react", "registry.example:5000/agents/react:7");
    set("docker.pull.react", "missing");
    cr_assert_eq(check(), 0, "%s", said);
    expect_said("react:7 is not there; the host pulls it from registry.example:5000 without credentials");
    set("docker.config", "/nowhere/config.json");
    cr_assert_eq(check(), 1, "%s", said);
    expect_said("cannot be pulled: docker.config = /nowhere/config.json cannot be read");
    http_script_stop(engine);
}

Test(check_docker, an_image_that_is_pulled_in_any_case_is_named) {
    struct http_answer answers[] = {
        PING, VERSION, {.request = "GET /images/", .status = 200, .body = "{}"}, {0}};
    struct http_script *engine = http_script_start(path, "1.41", answers);
    set("docker.pull", "always");
    cr_assert_eq(check(), 0, "%s", said);
    expect_said("debian:trixie-slim is there, and is pulled when the host starts");
    http_script_stop(engine);
}

Test(check_docker, an_engine_that_is_away_fails_with_its_address) {
    cr_assert_eq(check(), 1);
    expect_said(path);
    expect_said("start it, or set docker.url");
}

Test(check_docker, an_engine_that_this_user_may_not_use_fails_with_what_to_do_alone) {
    struct http_answer answers[] = {PING, VERSION, {0}};
    struct http_script *engine = http_script_start(path, "1.41", answers);
    cr_assert_eq(chmod(path, 0600), 0);
    cr_assert_eq(chmod(dir, 0755), 0);
    uid_t root = geteuid();
    if (root != 0) cr_skip("only root may become a user who may not use the socket");
    cr_assert_eq(seteuid(65534), 0);
    cr_expect_eq(check(), 1);
    cr_assert_eq(seteuid(root), 0);
    expect_said("add the user to the socket's group, with compose by DOCKER_GID\n");
    http_script_stop(engine);
}

Test(check_docker, an_image_that_the_engine_cannot_be_asked_for_fails_with_its_words) {
    struct http_answer answers[] = {
        PING,
        VERSION,
        {.request = "GET /images/debian:trixie-slim", .status = 200, .body = "{}"},
        {.request = "GET /images/", .status = 400, .body = "{\"message\": \"invalid reference format\"}"},
        {0}};
    struct http_script *engine = http_script_start(path, "1.41", answers);
    set("docker.image.react", "Agents");
    cr_assert_eq(check(), 1, "%s", said);
    expect_said("FAIL image          Agents: invalid reference format; see docker.image");
    http_script_stop(engine);
}

Test(check_docker, an_engine_that_is_too_old_fails_with_its_version) {
    struct http_answer answers[] = {PING, {0}};
    struct http_script *engine = http_script_start(path, "1.40", answers);
    cr_assert_eq(check(), 1);
    expect_said("its API version is 1.40; 1.41 (Docker 20.10) or later is needed");
    http_script_stop(engine);
}

Test(check_docker, a_definition_that_cannot_be_used_fails_before_the_engine_is_asked) {
    set("docker.ready", "soon");
    cr_assert_eq(check(), 1);
    expect_said("docker.ready = soon");
    set("docker.ready", "running");
    set("docker.url", "http://x");
    cr_assert_eq(check(), 1);
    expect_said("unix:///path or tcp://host:port is wanted");
}
