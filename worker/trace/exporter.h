/* Sends spans to a collector by OTLP/HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp): POST
 * {trace.url}/v1/traces, application/x-protobuf, a batch at a time. What cannot be sent is kept in a bounded
 * queue; what does not fit is dropped and counted. A collector that is away or slow holds nothing up, and
 * costs one warning a minute. One thread: the loop's. */
#ifndef WP_TRACE_EXPORTER_H
#define WP_TRACE_EXPORTER_H
#include <uv.h>
#include "core/config.h"
#include "core/stats.h"
#include "trace/span.h"

struct wp_exporter;

/* trace.url must be set. Does not wait for the collector. */
enum wp_err wp_exporter_new(struct wp_exporter **ret_exporter, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats,
                            struct wp_error *error) WP_MUST_CHECK;
/* Takes a copy of the span, or counts it as dropped. */
void wp_exporter_add(struct wp_exporter *exporter, const struct wp_span *span);
/* Blocks until all spans are sent, the collector does not take them, or the time is over; what is left is
 * dropped, counted and logged. For the worker's end, when the loop does not run any more. */
void wp_exporter_flush(struct wp_exporter *exporter, int64_t max_ms);
/* Run the loop once more afterwards. NULL is fine. */
void wp_exporter_free(struct wp_exporter *exporter);
/* Sends a request without spans and waits for the answer, max_ms at most. WP_OK: the collector takes spans;
 * else the error says what to mend. For `warmpool check`, on a loop of its own. */
enum wp_err wp_exporter_try(const struct wp_config *config, int64_t max_ms,
                            struct wp_error *error) WP_MUST_CHECK;

#endif
