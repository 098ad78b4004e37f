/* One request for a token by the client credentials grant (RFC 6749, section 4.4). Blocks for a few seconds
 * at most; any thread. */
#ifndef WP_KAFKA_OAUTH_REQUEST_H
#define WP_KAFKA_OAUTH_REQUEST_H
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"

struct wp_oauth_request { /* borrowed; NULL: not set */
    const char *url, *client_id, *client_secret, *scope;
    const char *ca; /* file of CA certificates for https; NULL: the system's */
};

struct wp_oauth_token {
    char *token;        /* owned */
    char *principal;    /* owned: whose it is, of its claim `sub`, or else the client's id */
    int64_t expires_ms; /* since 1970 */
};

/* The error is one sentence about the endpoint, without the secret and without a token. */
enum wp_err wp_oauth_request(const struct wp_oauth_request *request, struct wp_oauth_token *ret,
                             struct wp_error *error) WP_MUST_CHECK;
/* What an endpoint's answer says. Pure. */
enum wp_err wp_oauth_read(const struct wp_oauth_request *request, long status, const char *answer, size_t len,
                          int64_t now_ms, struct wp_oauth_token *ret, struct wp_error *error) WP_MUST_CHECK;
void wp_oauth_token_done(struct wp_oauth_token *token); /* wipes it */

#endif
