/* Checks, one by one, what a worker needs of a Redis server. */
#include "cli/check_redis.h"
#include "cli/check_sentinels.h"
#include "store/connect.h"

#include <stdio.h>
#include <stdlib.h>

enum { MIN_VERSION = 7 };

struct probe {
    struct wp_check *check;
    redisContext *redis;
    const char *what; /* the option that holds the address */
    char *root;       /* owned; the key that every function of the slot takes */
    redisReply *info;
};

/* The value of a line `name:value` of INFO; len 0 when there is none. */
static struct wp_str info_of(const struct probe *p, const char *name) {
    size_t len = strlen(name);
    const char *at = p->info && p->info->type == REDIS_REPLY_STRING ? p->info->str : NULL;
    for (; at; at = strchr(at, '\n')) {
        if (*at == '\n') at++;
        if (strncmp(at, name, len) == 0 && at[len] == ':')
            return (struct wp_str){at + len + 1, strcspn(at + len + 1, "\r\n")};
    }
    return (struct wp_str){0};
}

static void check_version(struct probe *p) {
    struct wp_str version = info_of(p, "redis_version");
    if (!version.len)
        wp_check_say(p->check, WP_CHECK_ADVICE, p->what,
                     "INFO is not permitted, so version and settings are not looked at");
    else if (strtol(version.ptr, NULL, 10) < MIN_VERSION)
        wp_check_say(p->check, WP_CHECK_FAILED, p->what, "Redis %.*s has no functions; use 7.0 or newer",
                     (int)version.len, version.ptr);
    else
        wp_check_say(p->check, WP_CHECK_OK, p->what, "Redis %.*s answers", (int)version.len, version.ptr);
    if (wp_str_is(info_of(p, "role"), "slave"))
        wp_check_say(p->check, WP_CHECK_FAILED, p->what,
                     "this is a replica, which takes no writes; name its primary");
}

/* False when Redis' ACL forbids the command. Each caller uses a command that changes nothing when it is
 * allowed. */
static bool permitted(struct probe *p, const char *format, const char *argument) {
    redisReply *reply = redisCommand(p->redis, format, argument);
    bool ok = reply && !(reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0);
    freeReplyObject(reply);
    return ok;
}

static void check_permissions(struct probe *p) {
    const char *mend = "give it the rights of redis/users.acl";
    bool load = permitted(p, "FUNCTION LOAD %s", "");
    bool list = permitted(p, "FUNCTION LIST LIBRARYNAME %s", "wp_pool_v2");
    bool call = permitted(p, "FCALL wp_check_no_such_function 1 %s", p->root);
    if (!load || !list)
        wp_check_say(p->check, WP_CHECK_FAILED, "redis user",
                     "it may not load functions (FUNCTION LOAD, LIST); %s", mend);
    if (!call)
        wp_check_say(p->check, WP_CHECK_FAILED, "redis user", "it may not call functions on %s (FCALL); %s",
                     p->root, mend);
    if (load && list && call)
        wp_check_say(p->check, WP_CHECK_OK, "redis user", "it may load and call functions on %s", p->root);
}

static bool config_is(struct probe *p, const char *name, const char *want) {
    redisReply *reply = redisCommand(p->redis, "CONFIG GET %s", name);
    bool known = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    bool is = !known || strcmp(reply->element[1]->str, want) == 0;
    freeReplyObject(reply);
    return is;
}

static void check_settings(struct probe *p) {
    if (wp_str_is(info_of(p, "aof_enabled"), "0"))
        wp_check_say(p->check, WP_CHECK_ADVICE, "redis memory",
                     "appendonly is no: a Redis that restarts has forgotten leases; use "
                     "redis/redis.conf");
    else if (!config_is(p, "appendfsync", "always"))
        wp_check_say(p->check, WP_CHECK_ADVICE, "redis memory",
                     "appendfsync is not always: the last second can be forgotten when its "
                     "machine dies; use redis/redis.conf");
    if (!config_is(p, "slowlog-log-slower-than", "-1"))
        wp_check_say(p->check, WP_CHECK_ADVICE, "redis memory",
                     "slowlog-log-slower-than is not -1: SLOWLOG keeps how slow calls begin, and a claim "
                     "may be in that; use redis/redis.conf where acquires have claims");
    struct wp_str policy = info_of(p, "maxmemory_policy");
    if (policy.len && !wp_str_is(policy, "noeviction"))
        wp_check_say(p->check, WP_CHECK_FAILED, "redis memory",
                     "maxmemory-policy is %.*s: Redis would delete leases when it is full; set "
                     "maxmemory-policy noeviction",
                     (int)policy.len, policy.ptr);
}

/* WAIT for more replicas than there are never succeeds. */
static void check_replicas(struct probe *p) {
    struct wp_str count = info_of(p, "connected_slaves");
    int64_t wanted = p->check->config->redis.wait_replicas;
    if (count.len && strtol(count.ptr, NULL, 10) < wanted)
        wp_check_say(
            p->check, WP_CHECK_FAILED, p->what,
            "redis.wait_replicas is %lld, but only %.*s replicas follow it: no worker gets ready; lower "
            "it, or see to the replicas",
            (long long)wanted, (int)count.len, count.ptr);
}

void wp_check_redis(struct wp_check *check, enum wp_slot slot) {
    const char *url;
    struct wp_error error;
    struct probe p = {.check = check, .what = wp_redis_url_key(check->config, slot, &url)};
    wp_check_sentinels(check, slot);
    if (wp_redis_connect(&p.redis, check->config, slot, &error)) {
        wp_check_say(check, WP_CHECK_FAILED, p.what, "%s", error.text);
        return;
    }
    p.root = wp_redis_root(check->config, slot);
    p.info = redisCommand(p.redis, "INFO");
    check_version(&p);
    check_replicas(&p);
    check_permissions(&p);
    check_settings(&p);
    freeReplyObject(p.info);
    free(p.root);
    redisFree(p.redis);
}
