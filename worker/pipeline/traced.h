/* The traces of acquires, as far as the pipeline sees them: which are traced, and their spans. Each span is
 * made by the worker that has the figures (docs/traces.md):
 *
 *   queue            the worker that took the acquire
 *   create, ...      the worker whose host made the container (host/start_spans.h), if it did so for this
 *                    request; else the next one, from the answer's `startup`
 *   acquire, publish the worker that published the answer; also wait, bind and lost
 *
 * Nothing here costs more than a comparison while trace.url is empty. The loop's thread. */
#ifndef WP_PIPELINE_TRACED_H
#define WP_PIPELINE_TRACED_H
#include "pipeline/partition.h"
#include "store/reply.h"

/* An event goes into a call. Decides whether it is traced, if it is an acquire. Returns what travels with the
 * request: its record's headers, or the context of its own span. Valid as long as the item. record_age_ms:
 * -1: not known. */
struct wp_str traced_call(struct item *item, int64_t record_age_ms);
/* The same text, after the call. */
struct wp_str traced_text(const struct item *item);
/* An answer is published for the item. Fills `room` with the text whose headers its record gets, and returns
 * it, or the answer's own text when it is not traced. */
struct wp_str traced_answer(struct item *item, const struct wp_reply_record *of,
                            char room[WP_TRACE_CONTEXT_MAX]);
#endif
