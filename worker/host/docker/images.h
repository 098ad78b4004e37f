/* The images that containers are made of: which the engine lacks, so that a host can tell Redis of which
 * philosophies it can make containers; what their names mean there; and when they are pulled (docker.pull).
 */
#ifndef WP_HOST_DOCKER_IMAGES_H
#define WP_HOST_DOCKER_IMAGES_H
#include "core/stats.h"
#include "host/docker/digest.h"
#include "host/docker/table.h"

enum docker_image_state {
    IMAGE_THERE,  /* as far as is known, or nothing is done about it: a create finds out */
    IMAGE_COMING, /* it is missing, and is being pulled or soon will be */
    IMAGE_FAILED, /* it is missing and could not be pulled; tried again after a pause */
};

struct docker_image_known {      /* what a configured name means at the engine */
    const char *name;            /* borrowed */
    char id[96];                 /* empty: not known, or missing */
    char digest[WP_DIGEST_SIZE]; /* of a registry; empty: it has none */
    int64_t at_us;               /* the engine was asked then */
};

void wp_docker_images_open(struct wp_runtime *runtime);
void wp_docker_images_configure(struct wp_runtime *runtime); /* the configuration has changed */
void wp_docker_images_close(struct wp_runtime *runtime, uv_close_cb closed);
void wp_docker_images_look(struct wp_runtime *runtime);             /* asks the engine */
void wp_docker_images_look_for_missing(struct wp_runtime *runtime); /* asks for those alone */
/* The engine says that it has not got the image of the philosophy's containers. */
void wp_docker_image_missing(struct wp_runtime *runtime, const char *philosophy);
/* The image of the philosophy's containers; never NULL. */
const struct docker_image_known *wp_docker_image_known(const struct wp_runtime *runtime,
                                                       const char *philosophy);
enum docker_image_state wp_docker_image_state(struct wp_runtime *runtime, const char *philosophy);
bool wp_docker_can_make(struct wp_runtime *runtime, const char *philosophy);
/* Why it cannot, a sentence; empty when it can. */
void wp_docker_lacks(struct wp_runtime *runtime, const char *philosophy, char *into, size_t room);
uint64_t wp_docker_report(struct wp_runtime *runtime, struct wp_stats *stats);

#endif
