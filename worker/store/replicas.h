/* WAIT for redis.wait_replicas: that many replicas must have a change before its answer is used. */
#ifndef WP_STORE_REPLICAS_H
#define WP_STORE_REPLICAS_H
#include <hiredis/async.h>
#include "core/config.h"

extern const char wp_replicas_too_few[]; /* for messages */

/* Sends WAIT on that connection. Its answer is the number of replicas that have everything sent before it. */
void wp_replicas_wait(redisAsyncContext *redis, const struct wp_config *config, redisCallbackFn *then,
                      void *data);
/* True when the answer to WAIT names enough replicas; false for NULL. */
bool wp_replicas_enough(const struct wp_config *config, const redisReply *reply);

#endif
