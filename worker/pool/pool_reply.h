/* The records of the {pool} functions (redis/README.md) as what is to be published. Pure. */
#ifndef WP_POOL_POOL_REPLY_H
#define WP_POOL_POOL_REPLY_H
#include "store/reply.h"

bool wp_pool_reply(struct wp_str chunk, const struct wp_reply_sink *sink);

#endif
