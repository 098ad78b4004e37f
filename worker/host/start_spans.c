/* The spans of containers' starts: see start_spans.h. Owns the contexts of containers that are made for
 * requests that are traced. */
#include "host/start_spans.h"
#include <stdlib.h>
#include "core/clock.h"
#include "trace/ids.h"

enum { STARTS_MAX = 4096 };

struct host_start {
    char *id; /* owned */
    char traceparent[WP_TRACEPARENT_CHARS + 1];
    struct wp_traceparent of; /* the request's span `acquire` */
    int64_t begun_us;         /* wall time; 0: not yet */
    UT_hash_handle hh;
};

static struct host_start *find(const struct host_start_spans *spans, struct wp_str id) {
    struct host_start *start;
    HASH_FIND(hh, spans->list, id.ptr, id.len, start);
    return start;
}

static void free_start(struct host_start *start) {
    free(start->id);
    free(start);
}

static void drop(struct host_start_spans *spans, struct host_start *start) {
    HASH_DEL(spans->list, start);
    free_start(start);
}

void wp_start_spans_note(struct host_start_spans *spans, struct wp_str id, struct wp_str traceparent) {
    struct wp_traceparent of;
    if (!spans->exporter || traceparent.len != WP_TRACEPARENT_CHARS || find(spans, id) ||
        !wp_traceparent_parse(traceparent, &of) || !of.sampled)
        return;
    /* The oldest is that of a command whose container Redis did not want any more. */
    if (HASH_COUNT(spans->list) >= STARTS_MAX) drop(spans, spans->list);
    struct host_start *start = wp_calloc(1, sizeof *start);
    start->id = wp_strndup(id);
    start->of = of;
    wp_traceparent_format(&of, start->traceparent);
    HASH_ADD_KEYPTR(hh, spans->list, start->id, id.len, start);
}

void wp_start_spans_begin(struct host_start_spans *spans, struct wp_str id) {
    struct host_start *start = find(spans, id);
    if (start) start->begun_us = wp_clock_wall_us();
}

static struct wp_span span_of(const struct host_start_spans *spans, const struct host_start *start,
                              const char *name) {
    struct wp_span span = {.trace = start->of.trace, .name = name, .kind = WP_SPAN_INTERNAL};
    memcpy(span.parent, start->of.span, sizeof span.parent);
    wp_span_id_below(start->of.span, name, wp_str(start->id), span.id);
    wp_span_text(&span, "warmpool.host", wp_str(spans->config->host.name));
    wp_span_text(&span, "warmpool.runtime", wp_str(spans->config->host.runtime));
    wp_span_text(&span, "container.name", wp_str(start->id));
    return span;
}

/* Returns when the part began. */
static int64_t send_part(const struct host_start_spans *spans, const struct host_start *start,
                         const char *name, double ms, int64_t end_us) {
    struct wp_span span = span_of(spans, start, name);
    span.start_us = end_us - (int64_t)(ms * 1000);
    span.end_us = end_us;
    wp_exporter_add(spans->exporter, &span);
    return span.start_us;
}

void wp_start_spans_ready(struct host_start_spans *spans, struct wp_str id,
                          const struct wp_container_facts *facts) {
    const struct host_start *start = find(spans, id);
    if (!start || !start->begun_us) return;
    int64_t at = wp_clock_wall_us();
    at = send_part(spans, start, "ready", facts->ready_ms, at);
    at = send_part(spans, start, "start", facts->start_ms, at);
    (void)send_part(spans, start, "create", facts->create_ms, at);
}

void wp_start_spans_failed(struct host_start_spans *spans, struct wp_str id, struct wp_str why) {
    struct host_start *start = find(spans, id);
    if (!start) return;
    struct wp_span span = span_of(spans, start, "create");
    span.end_us = wp_clock_wall_us();
    span.start_us = start->begun_us ? start->begun_us : span.end_us;
    span.failed = true;
    span.why = why;
    wp_span_text(&span, "error.type", WP_STR("container_failed"));
    wp_exporter_add(spans->exporter, &span);
    drop(spans, start);
}

struct wp_str wp_start_spans_header(const struct host_start_spans *spans, struct wp_str id) {
    const struct host_start *start = spans->list ? find(spans, id) : NULL;
    return start ? wp_str(start->traceparent) : WP_STR("");
}

void wp_start_spans_forget(struct host_start_spans *spans, struct wp_str id) {
    struct host_start *start = spans->list ? find(spans, id) : NULL;
    if (start) drop(spans, start);
}

void wp_start_spans_done(struct host_start_spans *spans) {
    struct host_start *start = spans->list, *next;
    HASH_CLEAR(hh, spans->list); /* the entries and their next pointers stay */
    for (; start; start = next) {
        next = start->hh.next;
        free_start(start);
    }
}
