/* A span, and its bytes: the messages of OTLP, version 1
 * (https://github.com/open-telemetry/opentelemetry-proto, opentelemetry/proto/trace/v1/trace.proto,
 * common.proto, resource.proto and collector/trace/v1/trace_service.proto, whose field numbers span.c names),
 * in protobuf's encoding (https://protobuf.dev/programming-guides/encoding/). Pure; any thread. */
#ifndef WP_TRACE_SPAN_H
#define WP_TRACE_SPAN_H
#include "core/buf.h"
#include "core/trace_context.h"

enum wp_span_kind { WP_SPAN_INTERNAL = 1, WP_SPAN_PRODUCER = 4, WP_SPAN_CONSUMER = 5 };
enum { WP_SPAN_ATTRIBUTES = 20 };

struct wp_span_attribute {
    const char *key;
    struct wp_str text; /* ptr NULL: it is `number` */
    int64_t number;
};

struct wp_span {                                                  /* borrows all texts */
    const unsigned char *trace;                                   /* WP_TRACE_ID_BYTES */
    unsigned char id[WP_SPAN_ID_BYTES], parent[WP_SPAN_ID_BYTES]; /* parent all 0: none */
    struct wp_str state;                                          /* tracestate */
    const char *name;
    enum wp_span_kind kind;
    int64_t start_us, end_us; /* wall time since 1970; an end before the start counts as the start */
    bool failed;
    struct wp_str why; /* with failed: the status' message */
    size_t count;
    struct wp_span_attribute attributes[WP_SPAN_ATTRIBUTES];
};

/* A text that is empty is left out. */
void wp_span_text(struct wp_span *span, const char *key, struct wp_str value);
void wp_span_number(struct wp_span *span, const char *key, int64_t value);

/* Appends the span as it stands in a request. Text that is not UTF-8 has question marks instead of its bytes
 * beyond ASCII, because a collector refuses the whole request for it. */
void wp_span_encode(const struct wp_span *span, struct wp_buf *out);

struct wp_span_resource { /* where spans come from */
    const char *instance, *host, *version;
};
/* Appends an ExportTraceServiceRequest of encoded spans, one after the other. */
void wp_spans_request(const struct wp_span_resource *of, struct wp_str spans, struct wp_buf *out);

struct wp_spans_answer {
    int64_t rejected;     /* spans that the collector did not take */
    struct wp_str reason; /* in its words; borrowed; may be empty */
};
/* Reads an ExportTraceServiceResponse. False: it is none. */
bool wp_spans_answer(struct wp_str bytes, struct wp_spans_answer *ret);
/* The message of a google.rpc.Status, with which a collector refuses; empty when it is none. Borrowed. */
struct wp_str wp_spans_refusal(struct wp_str bytes);

#endif
