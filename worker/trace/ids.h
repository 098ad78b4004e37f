/* The ids of traces and spans, and which traces are sampled. Ids are hashes of what they belong to and not
 * drawn: so workers that never talk to each other give a span the same id, and a record that is read again
 * after a crash gets the ids that it had. Pure; any thread. */
#ifndef WP_TRACE_IDS_H
#define WP_TRACE_IDS_H
#include "core/trace_context.h"

/* The id of the trace that begins with a record: of its topic's full name with the cluster, its place and its
 * timestamp. */
void wp_trace_id_of(struct wp_str partition, int64_t offset, int64_t timestamp_ms,
                    unsigned char ret[WP_TRACE_ID_BYTES]);
/* The id of the span `acquire` of the record at that place. */
void wp_span_id_of_record(const unsigned char trace[WP_TRACE_ID_BYTES], struct wp_str partition,
                          int64_t offset, unsigned char ret[WP_SPAN_ID_BYTES]);
/* The id of a span below it. which: tells spans of one name apart, as by their container; may be empty. */
void wp_span_id_below(const unsigned char parent[WP_SPAN_ID_BYTES], const char *name, struct wp_str which,
                      unsigned char ret[WP_SPAN_ID_BYTES]);
/* True for that share of all trace ids, the same ids with every worker: the trace's last 56 bits reach
 * (1 - ratio) * 2^56 (https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/). */
bool wp_trace_is_sampled(const unsigned char trace[WP_TRACE_ID_BYTES], double ratio);

#endif
