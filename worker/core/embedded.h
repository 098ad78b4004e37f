/* Files compiled into the binary: the .avsc files of schemas/ and the .lua files of redis/, and
 * the status page of worker/page/ (see cmake/embed.cmake). */
#ifndef WP_CORE_EMBEDDED_H
#define WP_CORE_EMBEDDED_H
#include <stddef.h>

struct wp_embedded {
    const char *name; /* file name with its extension; NULL ends the table */
    const char *text; /* NUL-terminated, the NUL is not counted in size */
    size_t size;
};

extern const struct wp_embedded wp_embedded_schemas[];
extern const struct wp_embedded wp_embedded_functions[];
extern const struct wp_embedded wp_embedded_page[];

#endif
