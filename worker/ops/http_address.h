/* The address of http.listen: "127.0.0.1:9464", "[::1]:9464", ":9464" (every IPv4 address), "host:9464". */
#ifndef WP_OPS_HTTP_ADDRESS_H
#define WP_OPS_HTTP_ADDRESS_H
#include <netdb.h>
#include "core/err.h"

/* Resolves it; blocks when it is a name. listen: not empty. *ret_address is for freeaddrinfo. */
enum wp_err http_address(const char *listen, struct addrinfo **ret_address,
                         struct wp_error *error) WP_MUST_CHECK;

#endif
