/* What is kept of an event until its records are confirmed, so that its spans can be made then: of an acquire
 * that is traced, and of answers to requests that are. Which are traced traced.h decides. The loop's thread.
 */
#ifndef WP_PIPELINE_ITEM_TRACE_H
#define WP_PIPELINE_ITEM_TRACE_H
#include "core/trace_context.h"
#include "pipeline/context.h"
#include "wire/events.h"

struct item_answer { /* whose record is not confirmed yet; its texts are in `bytes` */
    struct item_answer *next;
    struct wp_trace_context context;
    struct wp_assignment of;
    bool host_told; /* the host has sent the spans of the container's start */
    int64_t published_us;
    char bytes[];
};

struct item_trace {
    bool is_own;                     /* the event is an acquire that is traced: */
    struct wp_trace_context own;     /* its state borrows from `text` */
    char text[WP_TRACE_CONTEXT_MAX]; /* what travels with it */
    int64_t called_us;               /* wall time of the latest call that it went in */
    struct item_answer *answers;     /* owned */
};

/* Keeps a copy of the answer. */
void item_trace_answer(struct item_trace *trace, const struct wp_trace_context *context,
                       const struct wp_assignment *of, bool host_told);
/* The name of the span of the answer's record. */
const char *item_trace_last(const struct wp_assignment *of);
/* All records are confirmed: passes the spans to the exporter. */
void item_trace_send(const struct pipeline_context *pipeline, const struct item_trace *trace);
void item_trace_free(struct item_trace *trace); /* NULL is fine */

#endif
