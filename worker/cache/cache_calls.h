/* The cache concern: its events as arguments of its Redis function, and the answers as structs
 * (redis/README.md). */
#ifndef WP_CACHE_CACHE_CALLS_H
#define WP_CACHE_CACHE_CALLS_H
#include "store/columns.h"
#include "store/reply.h"

enum { WP_CACHE_COLUMNS = 8 }; /* of a batch */

void wp_add_cache(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid);
bool wp_cache_reply(struct wp_str chunk, const struct wp_reply_sink *sink); /* a wp_reply_reader */
/* The {cache} slot's settings, as a MessagePack map. */
void wp_pack_cache_settings(struct wp_buf *out, const struct wp_config *config);

/* The most that a value takes as JSON: a string, or base64 when it is no UTF-8, which only bytes from 128 on
 * can say. */
int64_t wp_cache_json_bytes(struct wp_str value);

#endif
