/* One function call on a synchronous connection (store/connect.h), for the subcommands. Blocks; one thread a
 * connection. */
#ifndef WP_STORE_SYNC_CALL_H
#define WP_STORE_SYNC_CALL_H
#include <jansson.h>
#include "store/connect.h"

/* Calls the slot's function with the base name `base` and up to 8 arguments. *ret is owned by the caller
 * (freeReplyObject) and never an error reply. */
enum wp_err wp_redis_call(redisReply **ret, redisContext *redis, const struct wp_config *config,
                          enum wp_slot slot, const char *base, const struct wp_str *args, size_t count,
                          struct wp_error *error) WP_MUST_CHECK;
/* The same for a public read function, which answers with one JSON text. *ret is owned by the caller. */
enum wp_err wp_redis_read(json_t **ret, redisContext *redis, const struct wp_config *config,
                          enum wp_slot slot, const char *base, const struct wp_str *args, size_t count,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
