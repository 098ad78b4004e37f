/* Owns the list of images that containers are made of, which of them the engine lacks, what their names
 * mean there, and their pulls.
 *
 *   IDLE -> WAITING -> PULLING -> IDLE     PULLS_AT_ONCE are pulled at once
 *     ^                   |
 *     +--- (a pause) -- FAILED
 */
#include "host/docker/images.h"
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/log.h"
#include "host/definition.h"
#include "host/docker/pull.h"

#define PULLS_AT_ONCE 2
#define PULL_RETRY_FIRST_MS 1000 /* after a pull that failed; doubles */
#define PULL_RETRY_MAX_MS 60000

struct image {
    struct wp_runtime *runtime;
    char *name; /* owned */
    struct docker_image_known known;
    bool used;        /* the configuration names it still */
    bool again;       /* once more, when the look under way is over */
    bool asking;      /* a look is under way, */
    int64_t asked_us; /* since then */
    char *subject;    /* owned: the first philosophy that has it, or "docker.image" */
    enum wp_pull policy;
    enum { IDLE, WAITING, PULLING, FAILED } state;
    bool missing;
    bool outdated;            /* the policy has it pulled although it is there */
    struct docker_pull *pull; /* while PULLING */
    int64_t retry_ms, due_us; /* when it is pulled next, FAILED or with WP_PULL_ALWAYS; 0: not */
    char why[512], mend[500]; /* while FAILED */
};

/* ---- the list ---- */

static struct image *find(const struct wp_runtime *runtime, const char *name) {
    size_t i = 0;
    while (i < runtime->images.count && strcmp(runtime->images.list[i]->name, name) != 0) i++;
    return i < runtime->images.count ? runtime->images.list[i] : NULL;
}

static struct image *append(struct wp_runtime *runtime, const char *name) {
    struct docker_images *images = &runtime->images;
    struct image *image = wp_calloc(1, sizeof *image);
    images->list = wp_realloc(images->list, (images->count + 1) * sizeof(*images->list));
    images->list[images->count++] = image;
    image->runtime = runtime;
    image->name = wp_strdup(name);
    image->known.name = image->name;
    return image;
}

/* An image that is new here is pulled at once with WP_PULL_ALWAYS, as at the host's start. */
static void add(struct wp_runtime *runtime, const char *philosophy) {
    const char *name = wp_definition_image(runtime->config, philosophy);
    struct image *image = find(runtime, name);
    if (image && image->used) return;
    if (!image) image = append(runtime, name);
    free(image->subject);
    image->subject = wp_strdup(*philosophy ? philosophy : "docker.image");
    enum wp_pull policy = wp_definition_pull(runtime->config, name);
    if (policy == WP_PULL_ALWAYS && image->policy != WP_PULL_ALWAYS) image->outdated = true;
    image->policy = policy;
    image->used = true;
}

static void add_all(struct wp_runtime *runtime) {
    const struct wp_settings *own = &runtime->config->docker.image_of;
    add(runtime, "");
    for (size_t i = 0; i < own->count; i++) add(runtime, own->list[i].key);
}

static struct image *image_of(const struct wp_runtime *runtime, const char *philosophy) {
    return find(runtime, wp_definition_image(runtime->config, philosophy));
}

/* ---- which are there, and pulls ---- */

static void begin_pulls(struct wp_runtime *runtime);
static void look(struct image *image);
static void on_due(uv_timer_t *timer);

static void set_missing(struct image *image, bool missing) {
    if (image->missing == missing) return;
    image->missing = missing;
    image->runtime->images.changes++;
    wp_log(missing ? WP_LOG_WARN : WP_LOG_INFO, missing ? "image_missing" : "image_found", "image=%s host=%s",
           image->name, image->runtime->config->host.name);
    if (missing) return;
    image->retry_ms = 0;
    image->runtime->on_room(image->runtime); /* creates may have waited for it */
}

/* Starts the timer for the image that is due next. */
static void set_timer(struct wp_runtime *runtime) {
    int64_t next = 0, now = wp_clock_us();
    for (size_t i = 0; i < runtime->images.count; i++) {
        int64_t due = runtime->images.list[i]->due_us;
        if (due && (!next || due < next)) next = due;
    }
    if (!next || runtime->closing) return;
    uv_update_time(runtime->loop);
    uv_timer_start(&runtime->images.timer, on_due, next > now ? (uint64_t)(next - now) / 1000 + 1 : 0, 0);
}

/* Pulls the image, when its policy wants that, and it is not being pulled and did not just fail. */
static void want(struct image *image) {
    bool wanted = image->missing ? image->policy != WP_PULL_NEVER : image->outdated;
    if (!wanted || image->state != IDLE || image->runtime->closing) return;
    image->state = WAITING;
    image->due_us = 0;
    begin_pulls(image->runtime);
}

static void on_due(uv_timer_t *timer) {
    struct wp_runtime *runtime = timer->data;
    int64_t now = wp_clock_us();
    for (size_t i = 0; i < runtime->images.count; i++) {
        struct image *image = runtime->images.list[i];
        if (!image->due_us || image->due_us > now) continue;
        image->due_us = 0;
        if (image->state == FAILED)
            image->state = IDLE;
        else
            image->outdated = true;
        want(image);
    }
    set_timer(runtime);
}

static void pulled(struct image *image) {
    int64_t interval = image->runtime->config->docker.pull_interval;
    bool again = image->policy == WP_PULL_ALWAYS && interval > 0;
    image->state = IDLE;
    image->retry_ms = 0;
    image->outdated = false;
    image->due_us = again ? wp_clock_us() + interval * 1000000 : 0;
    set_missing(image, false);
    look(image);
}

static void failed(struct image *image, const char *why, const char *mend) {
    struct wp_runtime *runtime = image->runtime;
    int64_t next = image->retry_ms ? 2 * image->retry_ms : PULL_RETRY_FIRST_MS;
    image->state = FAILED;
    image->retry_ms = next > PULL_RETRY_MAX_MS ? PULL_RETRY_MAX_MS : next;
    image->due_us = wp_clock_us() + image->retry_ms * 1000;
    snprintf(image->why, sizeof image->why, "%s", why);
    snprintf(image->mend, sizeof image->mend, "%s", mend);
    wp_str_cut(image->mend);
    runtime->images.failures++;
    wp_log(WP_LOG_WARN, "image_pull_failed", "image=%s host=%s reason=%s mend=%s retry_ms=%lld", image->name,
           runtime->config->host.name, why, mend, (long long)image->retry_ms);
    runtime->on_room(runtime); /* creates that waited for it fail now */
}

static void on_over(void *ctx, const char *why, const char *mend) {
    struct image *image = ctx;
    struct wp_runtime *runtime = image->runtime;
    image->pull = NULL;
    runtime->images.pulling--;
    if (runtime->closing) return; /* cancelled */
    if (why)
        failed(image, why, mend);
    else
        pulled(image);
    begin_pulls(runtime);
    set_timer(runtime);
}

static void begin_pull(struct image *image) {
    struct wp_runtime *runtime = image->runtime;
    struct wp_error error;
    image->pull = wp_docker_pull_begin(runtime, image->name, &runtime->images.bytes, on_over, image, &error);
    if (image->pull) {
        image->state = PULLING;
        runtime->images.pulling++;
    } else {
        failed(image, error.text, "mend the file; it is read again at each try");
        set_timer(runtime);
    }
}

static void begin_pulls(struct wp_runtime *runtime) {
    for (size_t i = 0; i < runtime->images.count && runtime->images.pulling < PULLS_AT_ONCE; i++)
        if (runtime->images.list[i]->state == WAITING && !runtime->closing)
            begin_pull(runtime->images.list[i]);
}

/* ---- what the engine says ---- */

static void know(struct image *image, const struct wp_docker_client_answer *answer) {
    struct docker_image_known *known = &image->known;
    json_t *found = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    snprintf(known->id, sizeof known->id, "%s", wp_docker_text(found, "Id"));
    wp_docker_digest(found, image->name, known->digest);
    known->at_us = image->asked_us;
    json_decref(found);
    image->runtime->on_images(image->runtime);
}

static void on_answer(void *ctx, const struct wp_docker_client_answer *answer) {
    struct image *image = ctx;
    image->asking = false;
    if (image->runtime->closed || (answer->status != 200 && answer->status != 404)) return;
    if (image->again) {
        look(image); /* this answer may be from before a pull */
        return;
    }
    know(image, answer);
    set_missing(image, answer->status == 404);
    want(image);
}

static void look(struct image *image) {
    image->again = image->asking;
    if (image->asking) return;
    image->asking = true;
    image->asked_us = wp_clock_us();
    char *name = wp_docker_client_escape(wp_str(image->name)), *path = wp_format("/images/%s/json", name);
    wp_docker_client_call(image->runtime->engine, "GET", path, NULL, on_answer, image);
    free(name);
    free(path);
}

void wp_docker_images_look(struct wp_runtime *runtime) {
    for (size_t i = 0; i < runtime->images.count; i++)
        if (runtime->images.list[i]->used) look(runtime->images.list[i]);
}

void wp_docker_images_look_for_missing(struct wp_runtime *runtime) {
    for (size_t i = 0; i < runtime->images.count; i++)
        if (runtime->images.list[i]->used && runtime->images.list[i]->missing) look(runtime->images.list[i]);
}

void wp_docker_image_missing(struct wp_runtime *runtime, const char *philosophy) {
    struct image *image = image_of(runtime, philosophy);
    set_missing(image, true);
    want(image);
}

/* ---- what others ask ---- */

const struct docker_image_known *wp_docker_image_known(const struct wp_runtime *runtime,
                                                       const char *philosophy) {
    return &image_of(runtime, philosophy)->known;
}

enum docker_image_state wp_docker_image_state(struct wp_runtime *runtime, const char *philosophy) {
    const struct image *image = image_of(runtime, philosophy);
    if (!image->missing) return IMAGE_THERE;
    return image->state == FAILED ? IMAGE_FAILED : image->state == IDLE ? IMAGE_THERE : IMAGE_COMING;
}

bool wp_docker_can_make(struct wp_runtime *runtime, const char *philosophy) {
    return !image_of(runtime, philosophy)->missing;
}

static void describe(const struct image *image, char *into, size_t room) {
    int percent = image->pull ? wp_docker_pull_percent(image->pull) : -1;
    if (image->state == FAILED)
        snprintf(into, room, "the image %s could not be pulled: %s", image->name, image->why);
    else if (percent >= 0)
        snprintf(into, room, "the image %s is being pulled (%d %%)", image->name, percent);
    else if (image->state != IDLE)
        snprintf(into, room, "the image %s is being pulled", image->name);
    else
        snprintf(into, room, "the image %s is not there", image->name);
    wp_str_cut(into);
}

void wp_docker_lacks(struct wp_runtime *runtime, const char *philosophy, char *into, size_t room) {
    const struct image *image = image_of(runtime, philosophy);
    *into = '\0';
    if (image->missing) describe(image, into, room);
}

static void report(const struct image *image, struct wp_image_lack *ret) {
    int length = snprintf(ret->why, sizeof ret->why, "host %s: ", image->runtime->config->host.name);
    describe(image, ret->why + length, sizeof ret->why - (size_t)length);
    snprintf(ret->subject, sizeof ret->subject, "%s", image->subject);
    snprintf(ret->mend, sizeof ret->mend, "%s",
             image->state == FAILED ? image->mend
             : image->state != IDLE ? "wait until it is there; the log says how far it is (image_pulling)"
                                    : "pull it by hand (docker pull), or set docker.pull = missing");
}

uint64_t wp_docker_report(struct wp_runtime *runtime, struct wp_stats *stats) {
    const struct docker_images *images = &runtime->images;
    uint64_t count = 0;
    for (size_t i = 0; i < images->count; i++) {
        const struct image *image = images->list[i];
        if (image->used && image->missing && count++ < WP_STATS_IMAGES)
            report(image, &stats->images_missing[count - 1]);
    }
    stats->images_missing_count = count;
    stats->images_pulling = (uint64_t)images->pulling;
    stats->image_pull_bytes = images->bytes;
    stats->image_pull_failures = images->failures;
    return images->changes;
}

/* ---- life ---- */

void wp_docker_images_open(struct wp_runtime *runtime) {
    add_all(runtime);
    uv_timer_init(runtime->loop, &runtime->images.timer);
    runtime->images.timer.data = runtime;
}

/* Nothing is done any more about an image that the configuration names no longer; a pull under way ends. */
static void retire(struct image *image) {
    image->used = false;
    image->policy = WP_PULL_NEVER;
    image->outdated = false;
    image->due_us = 0;
    if (image->state != PULLING) image->state = IDLE;
}

void wp_docker_images_configure(struct wp_runtime *runtime) {
    struct docker_images *images = &runtime->images;
    for (size_t i = 0; i < images->count; i++) images->list[i]->used = false;
    add_all(runtime);
    for (size_t i = 0; i < images->count; i++)
        if (!images->list[i]->used) retire(images->list[i]);
    images->changes++;
    wp_docker_images_look(runtime);
    set_timer(runtime);
}

static void free_image(struct image *image) {
    free(image->name);
    free(image->subject);
    free(image);
}

void wp_docker_images_close(struct wp_runtime *runtime, uv_close_cb closed) {
    for (size_t i = 0; i < runtime->images.count; i++) free_image(runtime->images.list[i]);
    free(runtime->images.list);
    uv_close((uv_handle_t *)&runtime->images.timer, closed);
}
