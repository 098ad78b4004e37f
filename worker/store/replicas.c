/* WAIT and its answer: see replicas.h. */
#include "store/replicas.h"

const char wp_replicas_too_few[] = "fewer replicas than redis.wait_replicas have the change";

void wp_replicas_wait(redisAsyncContext *redis, const struct wp_config *config, redisCallbackFn *then,
                      void *data) {
    redisAsyncCommand(redis, then, data, "WAIT %lld %lld", (long long)config->redis.wait_replicas,
                      (long long)config->redis.timeout_ms / 2);
}

bool wp_replicas_enough(const struct wp_config *config, const redisReply *reply) {
    return reply && reply->type == REDIS_REPLY_INTEGER && reply->integer >= config->redis.wait_replicas;
}
