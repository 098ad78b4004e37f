/* One connection to a Redis primary on the loop: connects, authenticates, loads the function library,
 * reconnects with backoff. Calls are pipelined; a lost connection fails all that are under way (whether they
 * ran is unknown: the delivery rules make that harmless). One thread: the loop's. */
#ifndef WP_STORE_LINK_H
#define WP_STORE_LINK_H
#include <hiredis/hiredis.h>
#include <uv.h>
#include "core/config.h"
#include "core/stats.h"
#include "store/slot.h"
#include "core/str.h"

struct wp_link;

/* reply is NULL when the connection was lost or the call timed out (error says why); otherwise borrowed, and
 * may be an error reply. */
typedef void (*wp_link_reply)(void *ctx, const redisReply *reply, const char *error);
/* ready: connected and the library is loaded; called again after each reconnect, and with false when it is
 * lost. */
typedef void (*wp_link_state)(void *ctx, enum wp_slot slot, bool ready);

enum wp_err wp_link_new(struct wp_link **ret_link, uv_loop_t *loop, const struct wp_config *config,
                        enum wp_slot slot, struct wp_stats *stats, wp_link_state state, void *ctx,
                        struct wp_error *error) WP_MUST_CHECK;
bool wp_link_ready(const struct wp_link *link);
/* Why it is not ready, one sentence; empty when it is. Also why the server refuses calls (no memory, no disk,
 * ...) while the link is ready: then what frees memory may still be called, but the worker is not ready. */
const char *wp_link_reason(const struct wp_link *link);
/* FCALL function 1 {key} args. WP_ERR_REDIS when not ready: no reply will come. `function` is a base name
 * ("acquire"). */
enum wp_err wp_link_call(struct wp_link *link, const char *function, const struct wp_str *args, size_t count,
                         wp_link_reply reply, void *ctx) WP_MUST_CHECK;
/* What the slot is to know of the configuration (a MessagePack map), who says so and when it was read (ms
 * since 1970). Sent at once and with each connection, before it is ready. Copied. */
void wp_link_settings(struct wp_link *link, const char *owner, int64_t read_ms, struct wp_str map);
/* False: another worker has read another configuration later, and the slot goes by that. */
bool wp_link_settings_in_force(const struct wp_link *link);
/* True for what is retried and never dead-lettered: every error that the function did not raise about its
 * events. */
bool wp_link_is_transient(const redisReply *reply);
void wp_link_free(
    struct wp_link *link); /* fails what is under way; NULL is fine; run the loop once more afterwards */

#endif
