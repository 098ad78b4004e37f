/* The program of worker/init/, which is part of this one, as a file for containers. */
#ifndef WP_HOST_INIT_PROGRAM_H
#define WP_HOST_INIT_PROGRAM_H
#include "core/err.h"

/* Writes it to a host's folder, in which a container's own folder is: once, before the next function. */
enum wp_err wp_init_program_write(const char *folder, struct wp_error *error) WP_MUST_CHECK;
/* Puts it into the container's own folder: another name of the same file. No error when it is there. */
enum wp_err wp_init_program_link(const char *folder, const char *id, struct wp_error *error) WP_MUST_CHECK;
/* A file in memory, close-on-exec, owned by the caller: to be executed as /proc/self/fd/N. */
enum wp_err wp_init_program_open(int *ret_fd, struct wp_error *error) WP_MUST_CHECK;

#endif
