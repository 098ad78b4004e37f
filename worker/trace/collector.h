/* One request to the collector at a time: how it is reached (trace.url, trace.headers, trace.tls_*), and what
 * an answer means (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response). One thread: the loop's. */
#ifndef WP_TRACE_COLLECTOR_H
#define WP_TRACE_COLLECTOR_H
#include <uv.h>
#include "core/config.h"
#include "core/str.h"

struct wp_collector;

enum wp_collector_verdict {
    WP_COLLECTOR_TOOK,    /* all or, with `rejected`, a part */
    WP_COLLECTOR_LATER,   /* it is away, too slow or too busy: send the same again */
    WP_COLLECTOR_REFUSED, /* do not send the same again */
};

struct wp_collector_answer {
    enum wp_collector_verdict verdict;
    int64_t rejected;       /* spans that it did not take; with WP_COLLECTOR_TOOK */
    int64_t retry_after_ms; /* as the collector asks; 0: it does not. With WP_COLLECTOR_LATER */
    char why[400];          /* a sentence, and how to mend it; empty: nothing is wrong */
};

typedef void (*wp_collector_done)(void *ctx, const struct wp_collector_answer *answer);

/* `done` is called for each request, never from inside wp_collector_post. */
enum wp_err wp_collector_new(struct wp_collector **ret_collector, uv_loop_t *loop,
                             const struct wp_config *config, wp_collector_done done, void *ctx,
                             struct wp_error *error) WP_MUST_CHECK;
/* Sends the body, which must stay as it is until `done`; ends within trace.timeout_ms. One at a time. */
void wp_collector_post(struct wp_collector *collector, struct wp_str body);
/* Blocks until something happens, at most so long. */
void wp_collector_step(struct wp_collector *collector, int max_ms);
/* A request under way is given up without `done`. Run the loop once more afterwards. NULL is fine. */
void wp_collector_free(struct wp_collector *collector);

#endif
