/* Reads the records in replies of the {pool} functions (redis/README.md) into those to publish. Pure. */
#ifndef WP_POOL_POOL_REPLY_H
#define WP_POOL_POOL_REPLY_H
#include "store/reply.h"

/* A wp_reply_reader. */
bool wp_pool_reply(struct wp_str chunk, const struct wp_reply_sink *sink);

#endif
