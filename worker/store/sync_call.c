/* Synchronous calls of Redis functions. */
#include "store/sync_call.h"
#include "store/functions.h"
#include "store/open.h"

#include <stdlib.h>

enum { MAX_ARGS = 8, FIRST_ARG = 5 };

static enum wp_err explain(const char *name, const redisReply *reply, const redisContext *redis,
                           struct wp_error *error) {
    if (!reply)
        return wp_fail(error, WP_ERR_REDIS, "Redis does not answer %s: %s", name, wp_redis_silence(redis));
    if (strstr(reply->str, "Function not found"))
        return wp_fail(error, WP_ERR_REDIS,
                       "Redis does not have the function %s yet; start a worker, which loads it, or look "
                       "whether redis.url and "
                       "redis.prefix are those of the workers",
                       name);
    return wp_fail(error, WP_ERR_REDIS, "Redis refused %s: %s", name, reply->str);
}

enum wp_err wp_redis_call(redisReply **ret, redisContext *redis, const struct wp_config *config,
                          enum wp_slot slot, const char *base, const struct wp_str *args, size_t count,
                          struct wp_error *error) {
    const struct wp_function *function = wp_function_find(slot, base);
    wp_assert(count <= MAX_ARGS);
    char *root = wp_redis_root(config, slot);
    size_t first = function->timed ? FIRST_ARG : FIRST_ARG - 1; /* the elapsed time is empty: not known */
    const char *argv[FIRST_ARG + MAX_ARGS] = {function->read_only ? "FCALL_RO" : "FCALL", function->name, "1",
                                              root, ""};
    size_t lengths[FIRST_ARG + MAX_ARGS];
    for (size_t i = 0; i < FIRST_ARG; i++) lengths[i] = strlen(argv[i]);
    for (size_t i = 0; i < count; i++) {
        argv[first + i] = args[i].ptr;
        lengths[first + i] = args[i].len;
    }
    redisReply *reply = redisCommandArgv(redis, (int)(first + count), argv, lengths);
    free(root);
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        enum wp_err err = explain(function->name, reply, redis, error);
        freeReplyObject(reply);
        return err;
    }
    *ret = reply;
    return WP_OK;
}

enum wp_err wp_redis_read(json_t **ret, redisContext *redis, const struct wp_config *config,
                          enum wp_slot slot, const char *base, const struct wp_str *args, size_t count,
                          struct wp_error *error) {
    redisReply *reply = NULL;
    enum wp_err err = wp_redis_call(&reply, redis, config, slot, base, args, count, error);
    if (err) return err;
    *ret =
        reply->type == REDIS_REPLY_STRING ? json_loadb(reply->str, reply->len, JSON_ALLOW_NUL, NULL) : NULL;
    freeReplyObject(reply);
    if (*ret) return WP_OK;
    return wp_fail(error, WP_ERR_REDIS,
                   "the Redis function %s did not answer with JSON; its library is another version's", base);
}
