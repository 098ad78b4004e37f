/* What is mounted in the container, and which of it its user can write to. */
#ifndef WP_INIT_MOUNTS_H
#define WP_INIT_MOUNTS_H
#include <stdbool.h>
#include <sys/stat.h>

/* Looks at what is mounted now. shared: the folders that are not the container's own, then NULL. */
bool wp_init_find_mounts(char *const shared[], char *why);
/* The container's own folders that can be written to, then NULL; until the next call of the above. */
const char *const *wp_init_folders(void);
/* Whether something is mounted at it. */
bool wp_init_is_mount(const struct stat *seen);

#endif
