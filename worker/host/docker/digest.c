/* Reads RepoDigests: see digest.h. */
#include "host/docker/digest.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Of "agents/react:7" that is "agents/react": a colon before a slash is that of a port. */
static size_t repository_length(const char *name) {
    const char *slash = strrchr(name, '/'), *colon = strrchr(name, ':'), *at = strchr(name, '@');
    if (at) return (size_t)(at - name);
    return colon && (!slash || colon > slash) ? (size_t)(colon - name) : strlen(name);
}

void wp_docker_digest(const json_t *inspected, const char *name, char ret[WP_DIGEST_SIZE]) {
    size_t i, length = repository_length(name);
    const json_t *each;
    ret[0] = '\0';
    json_array_foreach(json_object_get(inspected, "RepoDigests"), i, each) {
        const char *text = json_string_value(each), *at = text ? strchr(text, '@') : NULL;
        if (!at) continue;
        bool same = (size_t)(at - text) == length && strncmp(text, name, length) == 0;
        if (same || !*ret) snprintf(ret, WP_DIGEST_SIZE, "%s", at + 1);
        if (same) return;
    }
}
