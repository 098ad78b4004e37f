/* The spans of a container's start, create, start and ready, for the trace of the request that it is made
 * for. The command that wakes the host carries the request's context as a header, and the host's event ready
 * carries it back, so that the worker that answers knows that these spans are there. Does nothing while
 * trace.url is empty. The loop's thread. */
#ifndef WP_HOST_START_SPANS_H
#define WP_HOST_START_SPANS_H
#include <uthash.h>
#include "host/runtime.h"
#include "trace/exporter.h"

struct host_start; /* one container */

struct host_start_spans {
    struct wp_exporter *exporter;   /* borrowed; NULL: nothing is done */
    const struct wp_config *config; /* borrowed */
    struct host_start *list;        /* by container */
};

/* A command to create a container carries that traceparent; empty: none. */
void wp_start_spans_note(struct host_start_spans *spans, struct wp_str id, struct wp_str traceparent);
/* Its create begins. */
void wp_start_spans_begin(struct host_start_spans *spans, struct wp_str id);
/* It is ready: sends its spans. facts: how long the parts took. */
void wp_start_spans_ready(struct host_start_spans *spans, struct wp_str id,
                          const struct wp_container_facts *facts);
/* It could not be made: sends a span `create` that says why. */
void wp_start_spans_failed(struct host_start_spans *spans, struct wp_str id, struct wp_str why);
/* What the container's events carry; empty: nothing. Borrowed. */
struct wp_str wp_start_spans_header(const struct host_start_spans *spans, struct wp_str id);
void wp_start_spans_forget(struct host_start_spans *spans, struct wp_str id); /* unknown: fine */
void wp_start_spans_done(struct host_start_spans *spans);

#endif
