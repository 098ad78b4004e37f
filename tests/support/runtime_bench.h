/* A loop with one runtime, and what it was told. Everything on the test's thread. */
#ifndef TESTS_RUNTIME_BENCH_H
#define TESTS_RUNTIME_BENCH_H
#include "support/loop.h"
#include "host/runtime.h"
#include "support/limits.h"

#define MAX_TOLD 512

struct told {
    char id[64], address[32], detail[200];
    enum wp_container_state state;
};

#define FOREVER "exec sleep 100000" /* a container's program that runs until somebody ends it */

struct bench { /* a loop with one runtime, and what it was told */
    uv_loop_t loop;
    uv_timer_t deadline;
    bool late;
    struct wp_config config;
    const struct wp_runtime_driver *driver;
    struct wp_runtime *runtime;
    struct told told[MAX_TOLD];
    int count, in_verb;
    bool scripted;
    char dir[64];
};

void bench_set(struct bench *bench, const char *key, const char *value);
/* With a command for the shell and no runtime yet: what else it needs can be set before. */
struct bench *bench_new(const char *command);
/* The same on the Docker engine that answers, under a host's name of its own. */
struct bench *bench_new_docker(const char *command);
/* The same without an engine: docker.url is the test's to set, and nothing is cleaned up there. The host has
 * this name. */
#define SCRIPTED_HOST "scripted"
struct bench *bench_new_scripted(void);
void bench_open_runtime(struct bench *bench);
void bench_close_runtime(struct bench *bench); /* the containers stay where they can */
enum wp_err bench_try_open(struct bench *bench, struct wp_error *error) WP_MUST_CHECK;
struct bench *bench_open(const char *command);        /* both */
struct bench *bench_open_notify(const char *command); /* one that says itself when it is ready */
void bench_close(struct bench *bench);
void bench_create_sized(struct bench *bench, const char *id, double memory_mb);
void bench_create_spare(struct bench *bench, const char *id); /* no request waits for it */
/* Creates, one at a time: one, two spares and one more. It is ready before the spares. */
void bench_expect_spares_last(struct bench *bench, const char *const ids[4]);
void bench_create(struct bench *bench, const char *id);
void bench_destroy(struct bench *bench, const char *id);
/* Creates or destroys one, waits until one thing more is told, and expects it to be that (gone, when
 * destroyed) of that container. */
const struct told *bench_create_until(struct bench *bench, const char *id, enum wp_container_state state);
/* It fails, and that is all that is told, with this sentence. */
void bench_create_fails(struct bench *bench, const char *id, const char *detail);
const struct told *bench_destroy_until_gone(struct bench *bench, const char *id);
void bench_wait(struct bench *bench, int count);      /* runs the loop until so much was told */
void bench_nothing_more(struct bench *bench, int ms); /* runs it for a while in which nothing is to be told */
const struct told *bench_last(const struct bench *bench);
int bench_count(const struct bench *bench, enum wp_container_state state);
pid_t bench_pid(const struct told *told);
/* A number that a child writes to a file of the bench. */
pid_t bench_wait_number(const struct bench *bench, const char *name);
void bench_read_file(const struct bench *bench, const char *name, char *into, size_t room);

/* Runs tests/support/engine with these words; what it printed, until the next call. Its failure fails the
 * test.
 */
const char *bench_engine(const char *format, ...) WP_PRINTF(1, 2);
const char *bench_docker_label(const struct bench *bench); /* "label=value" of the bench's containers */

/* One in a session of its own, one that has lost its parent besides, and that without the variables that a
 * container has. */
#define FAR                                                                                                  \
    "setsid sh -c 'echo $$ > %s/far; exec sleep 1000' & "                                                    \
    "sh -c 'env -i setsid sh -c \"trap : TERM HUP; echo \\$\\$ > %s/orphan; while :; do sleep 1000; done\" " \
    "&'; "

#endif
