/* The inits of the docker driver's containers: see init.c. */
#ifndef WP_HOST_DOCKER_INIT_H
#define WP_HOST_DOCKER_INIT_H
#include "host/docker/table.h"

/* Where pool.clean is on: makes the host's folder and the program in it. */
enum wp_err wp_docker_init_open(struct wp_runtime *runtime, struct wp_error *error) WP_MUST_CHECK;
void wp_docker_init_close(struct wp_runtime *runtime);
/* Before a create, where its philosophy is cleaned: its folder, with the program and a socket that listens.
 */
enum wp_err wp_docker_init_prepare(struct docker_container *container, struct wp_error *error) WP_MUST_CHECK;
/* True when the image has to say what its program is: wp_docker_init_add needs it. */
bool wp_docker_init_needs_image(const struct docker_container *container);
/* Has the engine run the init, and the init what the body or the image would run. image: the engine's answer
 * about the image, NULL when it is not needed. False: there is nothing to run. */
bool wp_docker_init_add(const struct docker_container *container, json_t *body, const json_t *image);
/* The container exists already; labels: as the engine has them. */
void wp_docker_init_adopt(struct docker_container *container, const json_t *labels);
/* Has the init remember what is there, then calls next; at once when it has no init, or is paused. One that
 * cannot be asked has failed, unless it is from before: then it cannot be cleaned. */
void wp_docker_init_keep(struct docker_container *container,
                         void (*next)(struct docker_container *container));

#endif
