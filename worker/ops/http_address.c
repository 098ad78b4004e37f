/* Parses and resolves http.listen: see http_address.h. No state. */
#include "ops/http_address.h"
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"

enum { PORT_DIGITS = 5, PORT_MAX = 65535 };

/* getaddrinfo would take the lower 16 bits of any number. */
static bool is_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= PORT_DIGITS && text[digits] == '\0' && strtol(text, NULL, 10) <= PORT_MAX;
}

/* Without the brackets of an IPv6 address; empty: every address. */
static struct wp_str host_of(const char *listen, const char *colon) {
    struct wp_str host = {listen, (size_t)(colon - listen)};
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (struct wp_str){host.ptr + 1, host.len - 2};
    return host;
}

static enum wp_err refuse(const char *listen, const char *why, struct wp_error *error) {
    return wp_fail(
        error, WP_ERR_CONFIG,
        "http.listen = \"%s\": %s; write HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464; empty turns "
        "it off",
        listen, why);
}

enum wp_err http_address(const char *listen, struct addrinfo **ret_address, struct wp_error *error) {
    const char *colon = strrchr(listen, ':');
    *ret_address = NULL;
    if (!colon || !is_port(colon + 1)) return refuse(listen, "there is no port from 0 to 65535", error);
    char *host = wp_strndup(host_of(listen, colon));
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int unknown = getaddrinfo(*host ? host : NULL, colon + 1, &hints, ret_address);
    free(host);
    return unknown ? refuse(listen, gai_strerror(unknown), error) : WP_OK;
}
