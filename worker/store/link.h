/* A link: one connection to a Redis primary on the loop, made anew with backoff whenever it is lost. Calls of
 * functions are pipelined; a lost connection fails all calls under way. It is unknown whether those calls
 * ran; the delivery rules allow for both. One thread: the loop's. */
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
/* Called with true each time that the link is connected and its libraries are loaded, and with false each
 * time that the connection is lost. */
typedef void (*wp_link_state)(void *ctx, enum wp_slot slot, bool ready);

enum wp_err wp_link_new(struct wp_link **ret_link, uv_loop_t *loop, const struct wp_config *config,
                        enum wp_slot slot, struct wp_stats *stats, wp_link_state state, void *ctx,
                        struct wp_error *error) WP_MUST_CHECK;
bool wp_link_ready(const struct wp_link *link);
/* Why it is not ready, one sentence; empty when it is. Also set while the link is ready but the server
 * refuses calls (no memory, no disk, ...): functions that free memory still work then, but the worker is not
 * ready. */
const char *wp_link_reason(const struct wp_link *link);
/* FCALL function 1 {key} args. WP_ERR_REDIS when not ready: no reply will come. `function` is a base name
 * ("acquire"). */
enum wp_err wp_link_call(struct wp_link *link, const char *function, const struct wp_str *args, size_t count,
                         wp_link_reply reply, void *ctx) WP_MUST_CHECK;
/* Sets the slot's settings: a MessagePack map of the configuration, with its owner (the worker's id) and the
 * time when it was read (ms since 1970). Copied. Sent at once, and on each new connection before it is ready.
 */
void wp_link_settings(struct wp_link *link, const char *owner, int64_t read_ms, struct wp_str map);
/* False: the slot uses the settings of another worker, which has read its configuration later. */
bool wp_link_settings_in_force(const struct wp_link *link);
/* True for an error that is retried and never dead-letters an event: any but those that a function raised
 * about its events. */
bool wp_link_is_transient(const redisReply *reply);
void wp_link_free(
    struct wp_link *link); /* fails the calls under way; NULL is fine; run the loop once more afterwards */

#endif
