/* The files that an `include` of a configuration file stands for. */
#ifndef WP_CORE_CONFIG_INCLUDE_H
#define WP_CORE_CONFIG_INCLUDE_H
#include <stddef.h>
#include "core/err.h"

struct wp_config_files { /* zero-initialised is empty */
    char **list;         /* owned, with its paths */
    size_t count;
};

/* Adds the file `value`, or of a folder all its files *.ini in the order of their names, but for hidden ones.
 * `value` is relative to the folder of the file `from`. The error says which cannot be read, and why. */
enum wp_err wp_config_include_find(const char *from, const char *value, struct wp_config_files *ret,
                                   struct wp_error *error) WP_MUST_CHECK;
void wp_config_files_done(struct wp_config_files *files);

#endif
