/* Starts containers of the docker driver: creates, starts and probes them until they are ready. Calls exec.c
 * for probes by file, images.c, made.c and init.c. */
#include "host/docker/start.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "core/clock.h"
#include "host/claims.h"
#include "host/definition.h"
#include "host/docker/deaths.h"
#include "host/docker/exec.h"
#include "host/docker/images.h"
#include "host/docker/init.h"
#include "host/docker/made.h"

#define PROBE_MS 25    /* between two probes of a container that is not ready */
#define CONFLICT_MS 50 /* before a create is repeated whose name was taken, but is free again */
#define CONFLICTS 200

/* ---- until it is ready ---- */

static void inspect(struct docker_container *container);

static void on_look_again(uv_timer_t *timer) {
    inspect(timer->data);
}

static void look_again(struct docker_container *container, const char *why) {
    const struct wp_config *config = container->runtime->config;
    int64_t waited_ms = (wp_clock_us() - container->start.probing_since_us) / 1000;
    if (waited_ms < config->docker.ready_timeout_ms) {
        uv_timer_start(&container->timer, on_look_again, PROBE_MS, 0);
        return;
    }
    char detail[192];
    snprintf(detail, sizeof detail, "not ready within docker.ready_timeout_ms = %lld: %s",
             (long long)config->docker.ready_timeout_ms, why);
    wp_docker_end(container, WP_CONTAINER_FAILED, detail);
}

static void after_keep(struct docker_container *container) {
    if (container->end.waiting) return; /* it has ended since it was probed */
    if (container->start.started_us) container->start.ready_us = wp_clock_us();
    wp_docker_set_phase(container, RUNNING);
    if (container->paused)
        wp_deferred_add(&container->runtime->deferred, wp_str(container->id), WP_CONTAINER_PAUSED, "", "");
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id), WP_CONTAINER_READY,
                    container->address, "");
    wp_docker_made_check(container);
    wp_docker_start_queued(container->runtime);
}

static void after_find(struct docker_container *container) {
    if (!container->end.waiting) wp_docker_init_keep(container, after_keep);
}

static void become_ready(struct docker_container *container) {
    wp_docker_made_find(container, after_find);
}

static void fail(struct docker_container *container, const struct wp_docker_client_answer *answer,
                 const char *what) {
    char detail[192];
    snprintf(detail, sizeof detail, "%s: %s", what, answer->error);
    container->unanswered = answer->status == 0;
    wp_docker_end(container, WP_CONTAINER_FAILED, detail);
}

static void after_test(struct docker_container *container, int code, const char *why) {
    if (code == 0)
        become_ready(container);
    else
        look_again(container, code > 0 ? "the file that docker.ready names is not there" : why);
}

static void test_file(struct docker_container *container, const char *path) {
    const char *const argv[] = {"test", "-e", path, NULL};
    wp_docker_exec(container, argv, after_test);
}

/* Notes how an agent reaches the container: by its address on its network, else by its name. */
static void keep_address(struct docker_container *container, const json_t *inspected) {
    const json_t *networks = json_object_get(json_object_get(inspected, "NetworkSettings"), "Networks"),
                 *network;
    const char *name;
    snprintf(container->address, sizeof container->address, "container:%.50s", container->id);
    json_object_foreach((json_t *)networks, name, network) {
        const char *ip = wp_docker_text(network, "IPAddress"),
                   *ip6 = wp_docker_text(network, "GlobalIPv6Address");
        if (*ip || *ip6) snprintf(container->address, sizeof container->address, "%s", *ip ? ip : ip6);
    }
}

static void after_reach(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    char why[96];
    if (answer->status >= 200 && answer->status < 400) {
        become_ready(container);
    } else if (answer->status == 0) {
        look_again(container, answer->error);
    } else {
        snprintf(why, sizeof why, "the path that docker.ready names is answered with status %ld",
                 answer->status);
        look_again(container, why);
    }
}

static void test_port(struct docker_container *container, enum wp_ready ready, const char *path) {
    if (strncmp(container->address, "container:", 10) == 0) {
        look_again(container, "it has no address on its network");
        return;
    }
    bool ip6 = strchr(container->address, ':') != NULL;
    char *url = wp_format("http://%s%s%s:%s", ip6 ? "[" : "", container->address, ip6 ? "]" : "", path);
    wp_docker_reach(container, url, ready == WP_READY_TCP, after_reach);
    free(url);
}

static void after_inspect(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status != 200) {
        fail(container, answer, "it could not be inspected");
        return;
    }
    json_t *inspected = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
    const json_t *state = json_object_get(inspected, "State");
    const char *path, *health = wp_docker_text(json_object_get(state, "Health"), "Status");
    enum wp_ready ready = wp_definition_ready(container->runtime->config, container->philosophy, &path);
    keep_address(container, inspected);
    wp_docker_made_note(container, inspected);
    if (!json_is_true(json_object_get(state, "Running"))) {
        wp_docker_end_inspected(container, inspected);
    } else if (json_is_true(json_object_get(state, "Paused"))) { /* only ready containers are paused */
        wp_docker_set_paused(container, true);
        become_ready(container);
    } else if (ready == WP_READY_FILE) {
        test_file(container, path);
    } else if (ready == WP_READY_TCP || ready == WP_READY_HTTP) {
        test_port(container, ready, path);
    } else if (ready == WP_READY_RUNNING || strcmp(health, "healthy") == 0) {
        become_ready(container);
    } else {
        look_again(container,
                   *health ? "its health check says that it is not" : "its image has no HEALTHCHECK");
    }
    json_decref(inspected);
}

static void inspect(struct docker_container *container) {
    wp_docker_ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL, after_inspect);
}

void wp_docker_probe(struct docker_container *container) {
    container->start.probing_since_us = wp_clock_us();
    wp_docker_set_phase(container, PROBING);
    inspect(container);
}

/* ---- making ---- */

/* The engine makes an empty folder of one that is not on its machine. */
static bool lacks_init(const struct docker_container *container,
                       const struct wp_docker_client_answer *answer) {
    return container->init && answer->status != 0 &&
           strstr(answer->error, WP_INIT_FOLDER "/" WP_INIT_PROGRAM) != NULL;
}

static void after_start(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    container->start.started_us = wp_clock_us();
    if (answer->status == 204 || answer->status == 304)
        wp_docker_probe(container);
    else if (lacks_init(container, answer))
        fail(container, answer,
             "it could not be started; the engine must see host.claims, without noexec (or set pool.clean = "
             "false)");
    else
        fail(container, answer, "it could not be started");
}

static void start(struct docker_container *container) {
    container->start.made_us = wp_clock_us();
    wp_docker_ask(container, "POST", wp_format("/containers/%s/start", container->id), NULL, after_start);
}

static void create(struct docker_container *container);

static void on_make_again(uv_timer_t *timer) {
    create(timer->data);
}

/* The name was taken: by an earlier create of ours whose answer was lost, or by somebody else's container. */
static void after_conflict(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status == 404 &&
        container->start.conflicts++ < CONFLICTS) { /* the other one is being made or removed */
        uv_timer_start(&container->timer, on_make_again, CONFLICT_MS, 0);
        return;
    }
    if (answer->status == 200 && wp_docker_is_ours(container->runtime, answer)) {
        json_t *inspected = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
        wp_docker_own(container);
        wp_docker_init_adopt(container, json_object_get(json_object_get(inspected, "Config"), "Labels"));
        json_decref(inspected);
        if (container->phase == MAKING) start(container); /* else its init is not what it should be */
    } else if (answer->status == 200) {
        wp_docker_end(container, WP_CONTAINER_FAILED, "its name is taken by a container of somebody else");
    } else {
        fail(container, answer, "its name is taken, and by whom is not known");
    }
}

static void describe_missing(const struct docker_container *container, char *into, size_t room) {
    if (wp_docker_image_state(container->runtime, container->philosophy) == IMAGE_FAILED)
        wp_docker_lacks(container->runtime, container->philosophy, into, room);
    else
        snprintf(into, room, "the image %s is not on host %s",
                 wp_definition_image(container->runtime->config, container->philosophy),
                 container->runtime->config->host.name);
}

/* Waits for its image while that is pulled, but once only: the engine may miss something else. */
static void after_missing(struct docker_container *container) {
    char detail[192];
    if (wp_docker_image_state(container->runtime, container->philosophy) == IMAGE_COMING &&
        !container->start.waited) {
        container->start.waited = true;
        wp_docker_requeue(container);
        return;
    }
    describe_missing(container, detail, sizeof detail);
    wp_docker_end(container, WP_CONTAINER_FAILED, detail);
}

static void no_image(struct docker_container *container) {
    wp_docker_image_missing(container->runtime, container->philosophy);
    after_missing(container);
}

static void after_create(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status == 201) {
        wp_docker_own(container);
        start(container);
    } else if (answer->status == 409) {
        wp_docker_ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL,
                      after_conflict);
    } else if (answer->status == 404) {
        no_image(container);
    } else {
        fail(container, answer, "it could not be created");
    }
}

/* image: as wp_docker_init_add has it. */
static void create_of(struct docker_container *container, const json_t *image) {
    struct wp_runtime *runtime = container->runtime;
    struct wp_container_spec spec = {.id = wp_str(container->id),
                                     .philosophy = wp_str(container->philosophy),
                                     .limits = container->start.limits};
    json_t *body = wp_definition_body(runtime->config, &spec, runtime->claims_source);
    bool runs = wp_docker_init_add(container, body, image);
    char *text = json_dumps(body, JSON_COMPACT);
    if (runs)
        wp_docker_ask(container, "POST", wp_format("/containers/create?name=%s", container->id), text,
                      after_create);
    else
        wp_docker_end(container, WP_CONTAINER_FAILED,
                      "neither docker.command nor its image says what to run");
    free(text);
    json_decref(body);
}

static void after_image(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    json_t *image = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    if (image)
        create_of(container, image);
    else if (answer->status == 404)
        no_image(container);
    else
        fail(container, answer, "its image could not be inspected");
    json_decref(image);
}

static void on_fail(uv_timer_t *timer) {
    struct docker_container *container = timer->data;
    char detail[sizeof container->detail];
    memcpy(detail, container->detail, sizeof detail);
    wp_docker_end(container, WP_CONTAINER_FAILED, detail);
}

/* Not at once: who calls goes through the queue. */
static void fail_later(struct docker_container *container, const char *why) {
    snprintf(container->detail, sizeof container->detail, "%.190s", why);
    uv_timer_start(&container->timer, on_fail, 0, 0);
}

static void create(struct docker_container *container) {
    struct wp_error error = {0};
    container->start.begun_us = wp_clock_us();
    if (wp_docker_init_prepare(container, &error) != WP_OK)
        fail_later(container, error.text);
    else if (wp_docker_init_needs_image(container))
        wp_docker_ask(container, "GET",
                      wp_format("/images/%s/json",
                                wp_definition_image(container->runtime->config, container->philosophy)),
                      NULL, after_image);
    else
        create_of(container, NULL);
}

static void after_volume(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    struct wp_runtime *runtime = container->runtime;
    json_t *volume = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    const char *place = wp_docker_text(volume, "Mountpoint");
    if (!runtime->claims_source && *place)
        runtime->claims_source = wp_claims_folder(place, runtime->config->host.name);
    json_decref(volume);
    if (runtime->claims_source)
        create(container);
    else
        fail(container, answer, "the volume that docker.claims_volume names could not be found");
}

static void make(struct docker_container *container) {
    const struct wp_runtime *runtime = container->runtime;
    wp_docker_set_phase(container, MAKING);
    if (runtime->claims_source)
        create(container);
    else
        wp_docker_ask(container, "GET", wp_format("/volumes/%s", runtime->config->docker.claims_volume), NULL,
                      after_volume);
}

static void fail_queued(struct docker_container *container) {
    char detail[192];
    describe_missing(container, detail, sizeof detail);
    wp_docker_end_queued(container, WP_CONTAINER_FAILED, detail);
}

/* Those whose image is being pulled wait for it, and hold up nobody. */
void wp_docker_start_queued(struct wp_runtime *runtime) {
    struct docker_container *container, *next;
    DL_FOREACH_SAFE(runtime->queue, container, next) {
        enum docker_image_state image = wp_docker_image_state(runtime, container->philosophy);
        if (runtime->closing) return;
        if (image == IMAGE_FAILED)
            fail_queued(container);
        else if (image == IMAGE_THERE && runtime->making < runtime->creates)
            make(container);
    }
}

void wp_docker_start(struct wp_runtime *runtime, const struct wp_container_spec *spec) {
    struct docker_container *container =
        wp_docker_add(runtime, spec->id, spec->philosophy, QUEUED, wp_runtime_turn_us(spec));
    container->start.limits = spec->limits;
    container->start.asked_us = wp_clock_us();
    wp_docker_start_queued(runtime);
}

static void on_room_turn(uv_timer_t *timer) {
    wp_docker_start_queued(timer->data);
}

/* Who destroys several destroys those in the queue, too: none of them is to be made meanwhile. */
static void start_queued_later(struct wp_runtime *runtime) {
    if (!runtime->closing) uv_timer_start(&runtime->room, on_room_turn, 0, 0);
}

void wp_docker_start_open(struct wp_runtime *runtime) {
    const struct wp_config *config = runtime->config;
    uv_timer_init(runtime->loop, &runtime->room);
    runtime->room.data = runtime;
    runtime->on_room = start_queued_later;
    if (!*config->docker.claims_volume) runtime->claims_source = wp_strdup(runtime->folder);
}

void wp_docker_start_close(struct wp_runtime *runtime, uv_close_cb closed) {
    free(runtime->claims_source);
    uv_close((uv_handle_t *)&runtime->room, closed);
}
