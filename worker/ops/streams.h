/* Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) over libmicrohttpd: a
 * bounded number of connections that stay open, all of which are sent the same texts. A client that does not
 * keep up misses texts; one that reads nothing is dropped. Memory of a stream: a text, and 64 KB of socket.
 * Internal to ops/. */
#ifndef WP_OPS_STREAMS_H
#define WP_OPS_STREAMS_H
#include <sys/types.h>
#include <microhttpd.h>
#include "core/buf.h"

#define STREAMS_MAX 32

/* The daemon of the connections must have MHD_ALLOW_SUSPEND_RESUME. */
struct streams *streams_new(void);
/* Answers the request with a stream that begins with `greeting` (copied) or, when there are STREAMS_MAX, with
 * 503. */
enum MHD_Result streams_open(struct streams *streams, struct MHD_Connection *connection,
                             struct wp_str greeting);
/* Sends a text (copied) to all: whole events, each with its empty line. */
void streams_publish(struct streams *streams, struct wp_str text);
size_t streams_count(const struct streams *streams);
/* Ends all streams: the daemon closes them at its next run, and may only be stopped after that. */
void streams_end(struct streams *streams);
void streams_free(struct streams *streams); /* after the daemon; NULL is fine */

#endif
