/* The parts of an image's name, as Docker reads it: [registry/]repository[:tag][@digest]. Pure. */
#ifndef WP_HOST_DOCKER_IMAGE_NAME_H
#define WP_HOST_DOCKER_IMAGE_NAME_H
#include "core/str.h"

#define WP_DOCKER_HUB "docker.io" /* the registry of a name without one */

struct wp_image_name {        /* parts of the text that was parsed, or constants */
    struct wp_str registry;   /* "docker.io", "registry.example:5000" */
    struct wp_str repository; /* with its registry, as the text says it: "debian", "registry.example/a/b" */
    struct wp_str tag;        /* or the digest, when there is one: "sha256:..."; without either "latest" */
};

struct wp_image_name wp_image_name(const char *text);

#endif
