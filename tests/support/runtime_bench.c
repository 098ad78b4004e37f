/* Owns the runtime of a test and its folder. */
#include "support/runtime_bench.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/clock.h"

static void on_told(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                    struct wp_str detail) {
    struct bench *bench = ctx;
    cr_assert(bench->count < MAX_TOLD);
    cr_assert_eq(bench->in_verb, 0, "told from inside a verb");
    struct told *told = &bench->told[bench->count++];
    snprintf(told->id, sizeof told->id, "%.*s", (int)id.len, id.ptr);
    snprintf(told->address, sizeof told->address, "%.*s", (int)address.len, address.ptr);
    snprintf(told->detail, sizeof told->detail, "%.*s", (int)detail.len, detail.ptr);
    told->state = state;
    uv_stop(&bench->loop);
}

void bench_set(struct bench *bench, const char *key, const char *value) {
    struct wp_error error = {0};
    cr_assert_eq(wp_config_set(&bench->config, key, value, &error), WP_OK, "%s", error.text);
}

static struct bench *new_bench(const char *runtime) {
    struct bench *bench = wp_calloc(1, sizeof *bench);
    bench->driver = wp_runtime_driver_find(runtime);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&bench->loop);
    uv_timer_init(&bench->loop, &bench->deadline);
    bench->deadline.data = bench;
    wp_config_init(&bench->config);
    snprintf(bench->dir, sizeof bench->dir, "/tmp/wp-runtime-XXXXXX");
    cr_assert(mkdtemp(bench->dir));
    return bench;
}

struct bench *bench_new(const char *command) {
    struct bench *bench = new_bench("process");
    bench_set(bench, "process.command", command);
    return bench;
}

struct bench *bench_new_docker(const char *command) {
    struct bench *bench = new_bench("docker");
    char *name = wp_format("t%d-%lld", (int)getpid(), (long long)wp_clock_us()), claims[96];
    if (getenv("DOCKER_HOST")) bench_set(bench, "docker.url", getenv("DOCKER_HOST"));
    bench_set(bench, "docker.image", "warmpool-test:1");
    bench_set(bench, "docker.command", command);
    bench_set(bench, "host.name", name);
    snprintf(claims, sizeof claims, "%s/claims", bench->dir);
    bench_set(bench, "host.claims", claims); /* goes with the bench's folder */
    free(name);
    return bench;
}

enum wp_err bench_try_open(struct bench *bench, struct wp_error *error) {
    return bench->driver->open(&bench->runtime, &bench->loop, &bench->config, on_told, bench, error);
}

struct bench *bench_new_scripted(void) {
    struct bench *bench = bench_new_docker("true");
    bench->scripted = true;
    bench_set(bench, "pool.clean", "false"); /* no init runs at such an engine */
    bench_set(bench, "host.claims", "");
    bench_set(bench, "host.name", SCRIPTED_HOST);
    return bench;
}

void bench_open_runtime(struct bench *bench) {
    struct wp_error error = {0};
    cr_assert_eq(bench_try_open(bench, &error), WP_OK, "%s", error.text);
}

struct bench *bench_open(const char *command) {
    struct bench *bench = bench_new(command);
    bench_open_runtime(bench);
    return bench;
}

struct bench *bench_open_notify(const char *command) {
    struct bench *bench = bench_new(command);
    bench_set(bench, "process.ready", "notify");
    bench_open_runtime(bench);
    return bench;
}

void bench_close_runtime(struct bench *bench) {
    bench->driver->close(bench->runtime); /* none is fine */
    bench->runtime = NULL;
}

const char *bench_docker_label(const struct bench *bench) {
    static char label[128];
    snprintf(label, sizeof label, "io.warmpool.host=%s", bench->config.host.name);
    return label;
}

const char *bench_engine(const char *format, ...) {
    static char output[65536];
    char words[1024], command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    snprintf(command, sizeof command, SOURCE_DIR "/tests/support/engine %s", words);
    FILE *file = popen(command, "r");
    cr_assert(file);
    output[fread(output, 1, sizeof output - 1, file)] = '\0';
    cr_assert_eq(pclose(file), 0, "%s", command);
    return output;
}

static bool has_engine(const struct bench *bench) {
    return bench->driver == &wp_runtime_docker && !bench->scripted;
}

static void check_no_child_is_left(void) {
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
    cr_assert_eq(errno, ECHILD);
}

void bench_close(struct bench *bench) {
    char command[256];
    bench_close_runtime(bench);
    uv_close((uv_handle_t *)&bench->deadline, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&bench->loop), 0);
    check_no_child_is_left();
    if (has_engine(bench)) bench_engine("clean %s", bench_docker_label(bench));
    snprintf(command, sizeof command, "rm -rf %s", bench->dir);
    cr_assert_eq(system(command), 0);
    wp_config_done(&bench->config);
    free(bench);
}

static void create(struct bench *bench, const char *id, double memory_mb, bool spare) {
    struct wp_container_spec spec = {
        .id = wp_str(id), .philosophy = WP_STR("react"), .limits = {50, memory_mb}, .spare = spare};
    bench->in_verb++;
    bench->driver->create(bench->runtime, &spec);
    bench->in_verb--;
}

void bench_create_sized(struct bench *bench, const char *id, double memory_mb) {
    create(bench, id, memory_mb, false);
}

void bench_create_spare(struct bench *bench, const char *id) {
    create(bench, id, 256, true);
}

void bench_create(struct bench *bench, const char *id) {
    bench_create_sized(bench, id, 256);
}

void bench_destroy(struct bench *bench, const char *id) {
    bench->in_verb++;
    bench->driver->destroy(bench->runtime, wp_str(id));
    bench->in_verb--;
}

static void on_late(uv_timer_t *timer) {
    uv_stop(timer->loop);
    ((struct bench *)timer->data)->late = true;
}

/* Runs the loop until so much was told. */
void bench_wait(struct bench *bench, int count) {
    bench->late = false;
    uv_timer_start(&bench->deadline, on_late, WAIT_LIMIT_MS, 0);
    while (bench->count < count && !bench->late) uv_run(&bench->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&bench->deadline);
    cr_assert_not(bench->late, "told %d of %d in time", bench->count, count);
}

static const struct told *wait_for(struct bench *bench, int count, const char *id,
                                   enum wp_container_state state) {
    bench_wait(bench, count);
    const struct told *told = bench_last(bench);
    cr_assert_eq(told->state, state, "%s is %d, not %d: %s", told->id, told->state, state, told->detail);
    cr_assert_str_eq(told->id, id);
    return told;
}

const struct told *bench_create_until(struct bench *bench, const char *id, enum wp_container_state state) {
    int before = bench->count;
    bench_create(bench, id);
    return wait_for(bench, before + 1, id, state);
}

const struct told *bench_destroy_until_gone(struct bench *bench, const char *id) {
    int before = bench->count;
    bench_destroy(bench, id);
    return wait_for(bench, before + 1, id, WP_CONTAINER_GONE);
}

void bench_expect_spares_last(struct bench *bench, const char *const ids[4]) {
    static const int order[] = {0, 3, 1, 2};
    int before = bench->count;
    for (int i = 0; i < 4; i++)
        if (i == 1 || i == 2)
            bench_create_spare(bench, ids[i]);
        else
            bench_create(bench, ids[i]);
    bench_wait(bench, before + 4);
    for (int i = 0; i < 4; i++) cr_assert_str_eq(bench->told[before + i].id, ids[order[i]]);
}

/* Runs the loop for a while in which nothing is to be told. */
void bench_nothing_more(struct bench *bench, int ms) {
    int count = bench->count;
    bench->late = false;
    uv_timer_start(&bench->deadline, on_late, (uint64_t)ms, 0);
    while (!bench->late) uv_run(&bench->loop, UV_RUN_DEFAULT);
    cr_expect_eq(bench->count, count, "told of %s: %d", bench->told[bench->count - 1].id,
                 bench->told[bench->count - 1].state);
}

void bench_create_fails(struct bench *bench, const char *id, const char *detail) {
    cr_assert_str_eq(bench_create_until(bench, id, WP_CONTAINER_FAILED)->detail, detail);
    bench_nothing_more(bench, 50);
}

const struct told *bench_last(const struct bench *bench) {
    return &bench->told[bench->count - 1];
}

int bench_count(const struct bench *bench, enum wp_container_state state) {
    int count = 0;
    for (int i = 0; i < bench->count; i++) count += bench->told[i].state == state;
    return count;
}

pid_t bench_pid(const struct told *told) {
    cr_assert(strncmp(told->address, "pid:", 4) == 0, "%s", told->address);
    return (pid_t)strtol(told->address + 4, NULL, 10);
}

/* A number that a child writes to a file of the bench. */
pid_t bench_wait_number(const struct bench *bench, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", bench->dir, name);
    for (int64_t end = wp_clock_us() + WAIT_LIMIT_S * INT64_C(1000000); wp_clock_us() < end; usleep(2000)) {
        FILE *file = fopen(path, "r");
        if (!file) continue;
        char line[64] = "";
        bool got = fgets(line, sizeof line, file) && strchr(line, '\n');
        fclose(file);
        if (got) return (pid_t)strtol(line, NULL, 10);
    }
    cr_assert_fail("%s was not written", path);
    return 0;
}

void bench_read_file(const struct bench *bench, const char *name, char *into, size_t room) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", bench->dir, name);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    into[fread(into, 1, room - 1, file)] = '\0';
    fclose(file);
}
