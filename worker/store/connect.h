/* A synchronous connection for the command line tools and `check`. The worker uses store/link.h. */
#ifndef WP_STORE_CONNECT_H
#define WP_STORE_CONNECT_H
#include <hiredis/hiredis.h>
#include "core/config.h"
#include "core/str.h"
#include "store/slot.h"

/* Connects to the slot's primary within redis.timeout_ms (sentinels are asked first, where the URL names
 * them), authenticates and selects. *ret is owned by the caller (redisFree). */
enum wp_err wp_redis_connect(redisContext **ret, const struct wp_config *config, enum wp_slot slot,
                             struct wp_error *error) WP_MUST_CHECK;
/* The option that holds the slot's address, and its value. */
const char *wp_redis_url_key(const struct wp_config *config, enum wp_slot slot, const char **ret_value);
/* "<redis.prefix>:{pool}": the key that every function of the slot takes. Owned by the caller. */
char *wp_redis_root(const struct wp_config *config, enum wp_slot slot);

#endif
