#include "host/docker/image_name.h"

static struct wp_str between(const char *from, const char *till) {
    return (struct wp_str){from, (size_t)(till - from)};
}

static const char *last_of(struct wp_str text, char c) {
    return text.len > 0 ? memrchr(text.ptr, c, text.len) : NULL;
}

/* The first part is a registry when it cannot be a part of a repository's path on Docker Hub. */
static struct wp_str registry_of(struct wp_str repository) {
    const char *slash = memchr(repository.ptr, '/', repository.len);
    if (!slash) return WP_STR(WP_DOCKER_HUB);
    struct wp_str first = between(repository.ptr, slash);
    bool is_host = memchr(first.ptr, '.', first.len) || memchr(first.ptr, ':', first.len) ||
                   wp_str_is(first, "localhost");
    return is_host && !wp_str_is(first, "index.docker.io") ? first : WP_STR(WP_DOCKER_HUB);
}

struct wp_image_name wp_image_name(const char *text) {
    const char *end = text + strlen(text), *at = strchr(text, '@');
    struct wp_image_name name = {.repository = between(text, at ? at : end), .tag = WP_STR("latest")};
    const char *slash = last_of(name.repository, '/'), *colon = last_of(name.repository, ':');
    if (colon && (!slash || colon > slash)) { /* else it belongs to the registry's port */
        name.tag = between(colon + 1, at ? at : end);
        name.repository = between(text, colon);
    }
    if (at) name.tag = between(at + 1, end);
    name.registry = registry_of(name.repository);
    return name;
}
