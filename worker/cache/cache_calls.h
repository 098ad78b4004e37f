/* The cache concern: packs its events as arguments of the {cache} function, and reads the answers
 * (redis/README.md). Pure. */
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

/* An upper bound of a value's bytes as JSON: as a string, or as base64 when it may not be UTF-8 (it has bytes
 * from 128 on). */
int64_t wp_cache_json_bytes(struct wp_str value);

#endif
