/* Which acquires are traced, and what travels with them: see traced.h. */
#include "pipeline/traced.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "trace/ids.h"

static struct wp_exporter *exporter_of(const struct item *item) {
    return item->partition->context->exporter;
}

static struct item_trace *trace_of(struct item *item) {
    if (!item->trace) item->trace = wp_calloc(1, sizeof *item->trace);
    return item->trace;
}

/* ---- an acquire goes into a call ---- */

/* As ParentBased(TraceIdRatioBased) of OpenTelemetry's SDKs. False: it is not traced. */
static bool decide(const struct item *item, struct wp_trace_context *ret) {
    const struct wp_record_in *record = item->record;
    const struct wp_str partition = wp_str(item->partition->name);
    struct wp_traceparent sender;
    *ret = (struct wp_trace_context){.partition = item->partition->base.number, .offset = item->offset};
    if (record->trace.len > 0 && wp_traceparent_parse(wp_trace_context_parent(record->trace), &sender)) {
        if (!sender.sampled) return false;
        memcpy(ret->own.trace, sender.trace, sizeof sender.trace);
        memcpy(ret->parent, sender.span, sizeof sender.span);
        ret->state = wp_trace_context_state(record->trace);
    } else {
        wp_trace_id_of(partition, item->offset, record->timestamp_ms, ret->own.trace);
        if (!wp_trace_is_sampled(ret->own.trace, item->partition->context->config->trace.sample))
            return false;
    }
    ret->own.sampled = true;
    wp_span_id_of_record(ret->own.trace, partition, item->offset, ret->own.span);
    return true;
}

/* It begins when the broker appended the record, where that is known. */
static void begin(struct item *item, struct wp_trace_context *context, int64_t record_age_ms) {
    int64_t age_us = wp_clock_us() - item->read_us;
    if (record_age_ms * 1000 > age_us) age_us = record_age_ms * 1000;
    context->start_us = wp_clock_wall_us() - age_us;
    struct item_trace *trace = trace_of(item);
    size_t len = wp_trace_context_format(context, trace->text);
    trace->own = *context;
    trace->own.state = wp_trace_context_state((struct wp_str){trace->text, len});
    trace->is_own = true;
}

struct wp_str traced_call(struct item *item, int64_t record_age_ms) {
    struct wp_trace_context context;
    if (!exporter_of(item) || item->partition->row->topic != WP_TOPIC_ACQUIRE) return item->record->trace;
    if ((!item->trace || !item->trace->is_own) && decide(item, &context))
        begin(item, &context, record_age_ms);
    if (item->trace) item->trace->called_us = wp_clock_wall_us();
    return traced_text(item);
}

struct wp_str traced_text(const struct item *item) {
    return item->trace && item->trace->is_own ? wp_str(item->trace->text) : item->record->trace;
}

/* ---- an answer is published ---- */

/* The host's event carries the context of the request that the container was made for. */
static bool has_host_told(const struct item *item, const struct wp_trace_context *context) {
    struct wp_traceparent of_host;
    return item->partition->row->topic == WP_TOPIC_EVENT && item->record->trace.len > 0 &&
           wp_traceparent_parse(wp_trace_context_parent(item->record->trace), &of_host) &&
           memcmp(&of_host.trace, &context->own.trace, sizeof of_host.trace) == 0 &&
           memcmp(&of_host.span, &context->own.span, sizeof of_host.span) == 0;
}

/* The request was sent again: its answer is published again, and has its spans already. */
static bool is_repeat(const struct item *item, const struct wp_trace_context *context) {
    if (item->partition->row->topic != WP_TOPIC_ACQUIRE) return false;
    return !item->trace || !item->trace->is_own ||
           memcmp(item->trace->own.own.span, context->own.span, sizeof context->own.span) != 0;
}

struct wp_str traced_answer(struct item *item, const struct wp_reply_record *of,
                            char room[WP_TRACE_CONTEXT_MAX]) {
    struct wp_trace_context context;
    const struct wp_assignment *assignment = of->fields;
    if (!exporter_of(item) || of->topic != WP_TOPIC_ASSIGNMENT || of->trace.len == 0 ||
        !wp_trace_context_parse(of->trace, &context))
        return of->trace;
    if (!is_repeat(item, &context))
        item_trace_answer(trace_of(item), &context, assignment, has_host_told(item, &context));
    struct wp_traceparent sent = context.own; /* whoever reads the record goes on below `publish` */
    wp_span_id_below(context.own.span, item_trace_last(assignment), WP_STR(""), sent.span);
    wp_traceparent_format(&sent, room);
    int len = WP_TRACEPARENT_CHARS;
    if (context.state.len > 0)
        len += snprintf(room + len, WP_TRACE_CONTEXT_MAX - (size_t)len, " %.*s", (int)context.state.len,
                        context.state.ptr);
    return (struct wp_str){room, (size_t)len};
}
