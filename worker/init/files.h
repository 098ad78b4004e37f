/* The folders that can be written to: what was in them when the container became ready, and removing the
 * rest. */
#ifndef WP_INIT_FILES_H
#define WP_INIT_FILES_H
#include <stdbool.h>
#include <stdint.h>

/* folders: their paths, then NULL; one that is not there is left out. What is mounted below one is not part
 * of it. */
bool wp_init_keep_files(const char *const folders[], char *why);
/* Removes what was not there. */
bool wp_init_remove_files(const char *const folders[], int64_t until_ms, char *why);

#endif
