/* Pieces of JSON text. Pure; any thread. */
#ifndef WP_WIRE_TEXT_H
#define WP_WIRE_TEXT_H
#include <jansson.h>
#include <stdint.h>
#include "core/buf.h"

void text_string(struct wp_buf *out, struct wp_str text); /* quoted; bytes that are not UTF-8 become U+FFFD */
void text_long(struct wp_buf *out, int64_t value);
void text_double(struct wp_buf *out,
                 double value); /* the shortest that reads back the same; null when not finite */
/* "name":, with a comma before it unless it is the object's first. */
void text_name(struct wp_buf *out, bool *first, const char *name);
/* "name":"text" when the bytes are UTF-8, else "name_base64":"...". */
void text_bytes(struct wp_buf *out, bool *first, const char *name, struct wp_str bytes);

/* Writes compact JSON, with numbers as text_double writes them: jansson prints 0.1 as 0.10000000000000001. */
void text_json(struct wp_buf *out, const json_t *json);
/* The same as one line on stdout; false when stdout is closed. */
bool text_json_line(const json_t *json);

#endif
