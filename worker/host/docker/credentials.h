/* Credentials of registries, read from a file in the format of Docker's own config.json: `auths`, by
 * registry. Nothing of them is kept or logged. The loop's thread: the file is small and local. */
#ifndef WP_HOST_DOCKER_CREDENTIALS_H
#define WP_HOST_DOCKER_CREDENTIALS_H
#include "core/err.h"
#include "core/str.h"

struct wp_credentials {
    char *auth; /* owned: the value of the header X-Registry-Auth; NULL: the file has none for the registry */
    char helper[64]; /* the program that Docker would ask for them, as "docker-credential-pass"; not run here
                      */
};

/* file: empty = no credentials. WP_ERR_CONFIG: the file cannot be read or used; the error names it. */
enum wp_err wp_credentials_read(struct wp_credentials *ret, const char *file, struct wp_str registry,
                                struct wp_error *error) WP_MUST_CHECK;
/* The same from the file's text. */
enum wp_err wp_credentials_parse(struct wp_credentials *ret, struct wp_str text, const char *file,
                                 struct wp_str registry, struct wp_error *error) WP_MUST_CHECK;
void wp_credentials_done(struct wp_credentials *credentials);

#endif
