/* Owns the list of images that containers are made of, and which of them the engine lacks. */
#include "host/docker/images.h"
#include <stdlib.h>
#include <string.h>
#include "core/log.h"
#include "host/definition.h"

struct image {
    struct wp_runtime *runtime;
    const char *name; /* borrowed */
    bool missing;
};

static size_t own_images(const struct wp_runtime *runtime) {
    return runtime->config->docker.image_of.count;
}

void wp_docker_images_open(struct wp_runtime *runtime) {
    size_t count = own_images(runtime);
    runtime->images = wp_calloc(count + 1, sizeof *runtime->images);
    for (size_t i = 0; i <= count; i++)
        runtime->images[i] = (struct image){.runtime = runtime,
                                            .name = i < count ? runtime->config->docker.image_of.list[i].value
                                                              : runtime->config->docker.image};
}

void wp_docker_images_close(struct wp_runtime *runtime) {
    free(runtime->images);
}

static void set_missing(struct image *image, bool missing) {
    if (image->missing == missing) return;
    image->missing = missing;
    wp_log(missing ? WP_LOG_WARN : WP_LOG_INFO, missing ? "image_missing" : "image_found", "image=%s host=%s",
           image->name, image->runtime->config->host.name);
}

static void on_answer(void *ctx, const struct wp_docker_client_answer *answer) {
    struct image *image = ctx;
    if (answer->status == 200 || answer->status == 404) set_missing(image, answer->status == 404);
}

void wp_docker_images_look(struct wp_runtime *runtime) {
    for (size_t i = 0; i <= own_images(runtime); i++) {
        char *path = wp_format("/images/%s/json", runtime->images[i].name);
        wp_docker_client_call(runtime->engine, "GET", path, NULL, on_answer, &runtime->images[i]);
        free(path);
    }
}

static struct image *image_of(struct wp_runtime *runtime, const char *philosophy) {
    const struct wp_settings *own = &runtime->config->docker.image_of;
    size_t i = 0;
    while (i < own->count && strcmp(own->list[i].key, philosophy) != 0) i++;
    return &runtime->images[i];
}

void wp_docker_image_missing(struct wp_runtime *runtime, const char *philosophy) {
    set_missing(image_of(runtime, philosophy), true);
}

bool wp_docker_can_make(struct wp_runtime *runtime, const char *philosophy) {
    return !image_of(runtime, philosophy)->missing;
}
