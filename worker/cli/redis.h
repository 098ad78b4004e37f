/* One function call on a synchronous connection, for the subcommands. */
#ifndef WP_CLI_REDIS_H
#define WP_CLI_REDIS_H
#include <jansson.h>
#include "store/connect.h"

/* Calls the function of that base name with up to 8 arguments. *ret is freeReplyObject'd by the caller and is
 * no error reply. */
enum wp_err wp_redis_call(redisReply **ret, redisContext *redis, const struct wp_config *config,
                          enum wp_slot slot, const char *base, const struct wp_str *args, size_t count,
                          struct wp_error *error) WP_MUST_CHECK;
/* The same for a public read function, whose answer is one JSON text. Owned by the caller. */
enum wp_err wp_redis_read(json_t **ret, redisContext *redis, const struct wp_config *config,
                          enum wp_slot slot, const char *base, const struct wp_str *args, size_t count,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
