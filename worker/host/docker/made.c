/* Compares what containers were made of with the configuration, and with the image that the configured name
 * means by now. The container's label has the fingerprint of its definition, and the engine its image's id.
 */
#include "host/docker/made.h"
#include <stdlib.h>
#include <string.h>
#include "host/definition.h"
#include "host/docker/images.h"

static void keep(char **into, char *text) {
    free(*into);
    *into = text;
}

/* A container that was made by a version without the label counts as made by another definition. */
static bool is_redefined(const struct docker_container *container) {
    char now[WP_FINGERPRINT_SIZE];
    wp_definition_fingerprint(container->runtime->config, container->philosophy, now);
    return strcmp(container->made.definition, now) != 0;
}

void wp_docker_made_note(struct docker_container *container, const json_t *inspected) {
    struct docker_made *made = &container->made;
    const json_t *config = json_object_get(inspected, "Config");
    if (made->name) return;
    made->name = wp_strdup(wp_docker_text(config, "Image"));
    made->id = wp_strdup(wp_docker_text(inspected, "Image"));
    snprintf(made->definition, sizeof made->definition, "%s",
             wp_docker_text(json_object_get(config, "Labels"), WP_LABEL_DEFINITION));
    made->redefined = json_is_object(config) && is_redefined(container);
}

const char *wp_docker_made_outdated(const struct docker_container *container) {
    const struct docker_made *made = &container->made;
    const struct docker_image_known *now = wp_docker_image_known(container->runtime, container->philosophy);
    if (!made->name) return NULL;
    if (made->redefined) return "the configuration of its philosophy has changed since it was made";
    bool looked_since = now->at_us > container->start.made_us; /* the name may have moved meanwhile */
    if (!*made->id || !*now->id || !looked_since || strcmp(made->id, now->id) == 0) return NULL;
    return "the name of its image means another image by now";
}

void wp_docker_made_check(struct docker_container *container) {
    const char *why = container->phase == RUNNING ? wp_docker_made_outdated(container) : NULL;
    if (!why || container->made.reported) return;
    container->made.reported = true;
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id), WP_CONTAINER_OUTDATED, "", why);
}

static void check_all(struct wp_runtime *runtime) {
    struct docker_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) wp_docker_made_check(container);
}

void wp_docker_made_configure(struct wp_runtime *runtime) {
    struct docker_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next)
    if (container->made.name && *container->made.name) container->made.redefined = is_redefined(container);
    check_all(runtime);
}

void wp_docker_made_open(struct wp_runtime *runtime) {
    runtime->on_images = check_all;
}

/* ---- the digest of its image ---- */

/* The image may be gone, or known by its id alone: then its id stands for the digest. */
static void name_it(struct docker_container *container, const char *digest) {
    struct docker_made *made = &container->made;
    bool is_exact = strchr(made->name, '@') || strncmp(made->name, "sha256:", 7) == 0 || !*made->id;
    keep(&made->image,
         is_exact ? wp_strdup(made->name) : wp_format("%s@%s", made->name, *digest ? digest : made->id));
}

static void after_image(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    char digest[WP_DIGEST_SIZE];
    json_t *image = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    wp_docker_digest(image, container->made.name, digest);
    json_decref(image);
    name_it(container, digest);
    container->made.next(container);
}

void wp_docker_made_find(struct docker_container *container,
                         void (*next)(struct docker_container *container)) {
    struct docker_made *made = &container->made;
    const struct docker_image_known *now = wp_docker_image_known(container->runtime, container->philosophy);
    if (!made->image && *made->id && (strcmp(made->name, now->name) != 0 || strcmp(made->id, now->id) != 0)) {
        made->next = next;
        wp_docker_ask(container, "GET", wp_format("/images/%s/json", made->id), NULL, after_image);
        return;
    }
    if (!made->image) name_it(container, now->digest);
    next(container);
}
