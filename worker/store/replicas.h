/* redis.wait_replicas: how many replicas must have a change before its answer counts. */
#ifndef WP_STORE_REPLICAS_H
#define WP_STORE_REPLICAS_H
#include <hiredis/async.h>
#include "core/config.h"

extern const char wp_replicas_too_few[]; /* for messages */

/* Sends WAIT on that connection: it is answered with the number of replicas that have everything sent before.
 */
void wp_replicas_wait(redisAsyncContext *redis, const struct wp_config *config, redisCallbackFn *then,
                      void *data);
/* Whether that answer is of enough replicas. NULL is not. */
bool wp_replicas_enough(const struct wp_config *config, const redisReply *reply);

#endif
