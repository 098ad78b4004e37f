/* Where a configuration comes from: a file (with what it includes), the environment and -o, so that it can be
 * read again while a worker runs. */
#ifndef WP_CORE_CONFIG_SOURCES_H
#define WP_CORE_CONFIG_SOURCES_H
#include "core/config.h"

struct wp_config_sources {
    const char *file;       /* borrowed; NULL: none */
    const char **overrides; /* "section.key=value" of -o; an owned list of borrowed texts */
    size_t override_count;
};

void wp_config_sources_override(struct wp_config_sources *sources, const char *text); /* borrows text */
/* Fills *ret from the defaults, the file, the environment and the overrides, in this order, and checks it.
 * Blocks while it reads the file. On WP_OK the caller owns *ret (wp_config_done), else nothing is owned. Any
 * thread. */
enum wp_err wp_config_sources_load(const struct wp_config_sources *sources, struct wp_config *ret,
                                   struct wp_error *error) WP_MUST_CHECK;
void wp_config_sources_done(struct wp_config_sources *sources);

#endif
