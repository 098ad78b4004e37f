/* The digest that an image has, as the engine says it. */
#include <criterion/criterion.h>
#include "host/docker/digest.h"

static const char *digest(const char *name, const char *digests) {
    static char text[WP_DIGEST_SIZE];
    json_t *inspected = json_pack("{s:o}", "RepoDigests", json_loads(digests, 0, NULL));
    wp_docker_digest(inspected, name, text);
    json_decref(inspected);
    return text;
}

Test(docker_digest, its_digest_is_that_of_the_registry_in_its_name) {
    const char *both =
        "[\"other/react@sha256:1\", \"agents/react@sha256:2\", \"r:5000/agents/react@sha256:3\"]";
    cr_expect_str_eq(digest("agents/react:7", both), "sha256:2");
    cr_expect_str_eq(digest("agents/react", both), "sha256:2");
    cr_expect_str_eq(digest("r:5000/agents/react", both), "sha256:3");
    cr_expect_str_eq(digest("r:5000/agents/react:7", both), "sha256:3");
    cr_expect_str_eq(digest("agents/react@sha256:2", both), "sha256:2");
    cr_expect_str_eq(digest("renamed:1", both), "sha256:1", "any is better than none");
}

Test(docker_digest, one_that_no_registry_knows_has_none) {
    cr_expect_str_eq(digest("agents/react:7", "[]"), "");
    cr_expect_str_eq(digest("agents/react:7", "[\"nonsense\", 7]"), "");
    char text[WP_DIGEST_SIZE];
    wp_docker_digest(NULL, "agents/react:7", text);
    cr_expect_str_eq(text, "");
}
