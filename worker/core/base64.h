/* Base64 as in RFC 4648, section 4, with padding. Pure; any thread. */
#ifndef WP_CORE_BASE64_H
#define WP_CORE_BASE64_H
#include <stdbool.h>
#include "core/buf.h"

void wp_base64_encode(struct wp_buf *out, struct wp_str bytes);
bool wp_base64_decode(struct wp_buf *out, struct wp_str text); /* false: malformed */

#endif
