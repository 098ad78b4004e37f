/* Asks sentinels which server is the primary of a name, as Redis' guide for clients of Sentinel says: they
 * are asked in turn, and what they name must say of itself that it is a primary. A sentinel that was cut off
 * may name an old one for a while, so all that answer are heard: the newest configuration (config-epoch)
 * counts, or else what most of them say. Blocks, so the loop calls it in its pool; one thread at a time.
 * Connections to sentinels stay open. */
#ifndef WP_STORE_SENTINEL_H
#define WP_STORE_SENTINEL_H
#include "core/config.h"
#include "store/url.h"

struct wp_redis_primary {
    char host[256]; /* a name or an address, as the sentinels say it */
    int port;
    long long epoch; /* of the sentinel's configuration; -1: its user may not ask for it */
    bool guarded;    /* it has min-replicas-to-write, as far as it lets itself be asked */
    long replicas;   /* that follow it; 0: none, or not known */
};

struct wp_sentinels;

/* url and config are borrowed. With rediss-sentinel:// wp_redis_tls_prepare must have been called. */
struct wp_sentinels *wp_sentinels_new(const struct wp_config *config, const struct wp_redis_url *url);
/* How long each step may take, at most a second; at first redis.timeout_ms. Not while one is being asked. */
void wp_sentinels_limit(struct wp_sentinels *sentinels, int64_t timeout_ms);
void wp_sentinels_free(struct wp_sentinels *sentinels); /* NULL is fine */
/* Any thread: a wp_sentinels_find under way stops before the next server that it would ask. */
void wp_sentinels_cancel(struct wp_sentinels *sentinels);

/* What this one sentinel says; `guarded` and `replicas` are not filled in. The error does not name the
 * sentinel. */
enum wp_err wp_sentinels_ask(struct wp_sentinels *sentinels, size_t index, struct wp_redis_primary *ret,
                             struct wp_error *error) WP_MUST_CHECK;
/* The primary, which has been asked for its role. The error says what each sentinel said. */
enum wp_err wp_sentinels_find(struct wp_sentinels *sentinels, struct wp_redis_primary *ret,
                              struct wp_error *error) WP_MUST_CHECK;
/* How many did not answer, or knew no such primary, when they were asked last. */
size_t wp_sentinels_failed(const struct wp_sentinels *sentinels);
bool wp_redis_primary_is(const struct wp_redis_primary *a,
                         const struct wp_redis_primary *b); /* same address */
/* What a switch to another primary may lose; NULL: nothing that was answered. */
const char *wp_redis_switch_loses(const struct wp_config *config, const struct wp_redis_primary *primary);

#endif
