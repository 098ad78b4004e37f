/* Finds out why a container of the docker driver ended, and says so. DYING is said the moment that the end is
 * known, so that nobody gets the container; DIED when its engine has been asked for the reason, or WHY_MS
 * later, with the reason as far as it is known then. */
#ifndef WP_HOST_DOCKER_DEATHS_H
#define WP_HOST_DOCKER_DEATHS_H
#include "host/docker/table.h"

/* What the engine's events say of it. */
void wp_docker_exited(struct docker_container *container, const char *status); /* `die` */
void wp_docker_removed(struct docker_container *container);                    /* `destroy` */
/* `rename`; name: the new one. What is known by a name is gone with it. */
void wp_docker_renamed(struct docker_container *container, const char *name);
void wp_docker_signalled(struct docker_container *container, const char *signal); /* `kill` */
void wp_docker_out_of_memory(struct docker_container *container); /* `oom`: of any process in it */
void wp_docker_unhealthy(struct docker_container *container);
/* The engine's list has it as ended. */
void wp_docker_found_dead(struct docker_container *container);
/* Ends one that is not in the table's phases RUNNING or PROBING, because an earlier worker made it. status:
 * what the engine's list says of it, as "Exited (137) 5 minutes ago". */
void wp_docker_adopted_dead(struct docker_container *container, const char *status);
/* Ends it with what the engine's answer to its inspection says. */
void wp_docker_end_inspected(struct docker_container *container, const json_t *inspected);

#endif
