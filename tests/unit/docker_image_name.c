/* How the name of an image is taken apart. */
#include "host/docker/image_name.h"
#include <criterion/criterion.h>

static void expect(const char *text, const char *registry, const char *repository, const char *tag) {
    struct wp_image_name name = wp_image_name(text);
    cr_expect(wp_str_is(name.registry, registry), "%s: registry %.*s", text, (int)name.registry.len,
              name.registry.ptr);
    cr_expect(wp_str_is(name.repository, repository), "%s: repository %.*s", text, (int)name.repository.len,
              name.repository.ptr);
    cr_expect(wp_str_is(name.tag, tag), "%s: tag %.*s", text, (int)name.tag.len, name.tag.ptr);
}

Test(docker_image_name, one_without_a_tag_is_the_latest_not_all_of_them) {
    expect("debian", "docker.io", "debian", "latest");
    expect("localhost:5000/react", "localhost:5000", "localhost:5000/react", "latest");
}

Test(docker_image_name, a_registry_is_told_from_a_user_of_docker_hub) {
    expect("debian:trixie-slim", "docker.io", "debian", "trixie-slim");
    expect("agents/react:7", "docker.io", "agents/react", "7");
    expect("docker.io/library/debian:12", "docker.io", "docker.io/library/debian", "12");
    expect("index.docker.io/library/debian:12", "docker.io", "index.docker.io/library/debian", "12");
    expect("registry.example/agents/react:7", "registry.example", "registry.example/agents/react", "7");
    expect("localhost/react:7", "localhost", "localhost/react", "7");
}

Test(docker_image_name, the_colon_of_a_port_is_no_tag) {
    expect("127.0.0.1:5000/a/b", "127.0.0.1:5000", "127.0.0.1:5000/a/b", "latest");
    expect("127.0.0.1:5000/a/b:1", "127.0.0.1:5000", "127.0.0.1:5000/a/b", "1");
}

Test(docker_image_name, a_digest_counts_and_not_the_tag_before_it) {
    expect("debian@sha256:0123", "docker.io", "debian", "sha256:0123");
    expect("registry.example:443/a:7@sha256:0123", "registry.example:443", "registry.example:443/a",
           "sha256:0123");
}
