/* Trace contexts: what the record headers `traceparent` and `tracestate` say (W3C Trace Context,
 * https://www.w3.org/TR/trace-context/), and the text in which a context travels from worker to worker with
 * its request. Pure; any thread.
 *
 *   in a header   00-<trace id>-<span id>-<flags>
 *   with a request, from the headers of its record:        <traceparent>[ <tracestate>]
 *   with a request that is traced (trace.url):             <traceparent>;<parent's span id>;<start, us since
 *                                                          1970>;<partition>;<offset>[ <tracestate>]
 *
 * In the last one the traceparent is that of the request's own span `acquire`, its parent the sender's span
 * (16 zeros: there is none), and the rest says when and where the sender's record lies. */
#ifndef WP_CORE_TRACE_CONTEXT_H
#define WP_CORE_TRACE_CONTEXT_H
#include <stdbool.h>
#include <stdint.h>
#include "core/str.h"

enum {
    WP_TRACE_ID_BYTES = 16,
    WP_SPAN_ID_BYTES = 8,
    WP_TRACEPARENT_CHARS = 55,  /* of version 00 */
    WP_TRACEPARENT_MAX = 512,   /* a header that is longer is ignored */
    WP_TRACESTATE_MAX = 512,    /* so much has to be passed on (section 3.3.1.5); a longer one is not */
    WP_TRACE_CONTEXT_MAX = 700, /* of a whole text, with its NUL */
};

struct wp_traceparent {
    unsigned char trace[WP_TRACE_ID_BYTES], span[WP_SPAN_ID_BYTES];
    bool sampled;
};

struct wp_trace_context {                   /* of a request that is traced */
    struct wp_traceparent own;              /* its span `acquire` */
    unsigned char parent[WP_SPAN_ID_BYTES]; /* all 0: none */
    int64_t start_us;                       /* wall time since 1970 */
    int32_t partition;                      /* of container-acquire */
    int64_t offset;
    struct wp_str state; /* tracestate; borrowed; may be empty */
};

/* False: it is malformed, and counts as none (section 3.2.2). */
bool wp_traceparent_parse(struct wp_str text, struct wp_traceparent *ret);
/* ret: WP_TRACEPARENT_CHARS and a NUL. */
void wp_traceparent_format(const struct wp_traceparent *of, char ret[WP_TRACEPARENT_CHARS + 1]);

/* Whether a header may travel: printable ASCII, of the length allowed, and a traceparent without the
 * characters that separate the parts of the text above. */
bool wp_traceparent_may_travel(struct wp_str header);
bool wp_tracestate_may_travel(struct wp_str header);
/* The headers in a text; empty where there are none. They borrow from it. */
struct wp_str wp_trace_context_parent(struct wp_str text);
struct wp_str wp_trace_context_state(struct wp_str text);

/* False: it is not that of a request that is traced. */
bool wp_trace_context_parse(struct wp_str text, struct wp_trace_context *ret);
/* Returns the length. ret: of WP_TRACE_CONTEXT_MAX. */
size_t wp_trace_context_format(const struct wp_trace_context *of, char *ret);

#endif
