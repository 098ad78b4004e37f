/* The spans of an event's request and answers: see item_trace.h. */
#include "pipeline/item_trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "trace/ids.h"

static void keep(struct wp_str *text, char **at) {
    if (text->len > 0) memcpy(*at, text->ptr, text->len);
    text->ptr = *at;
    *at += text->len;
}

void item_trace_answer(struct item_trace *trace, const struct wp_trace_context *context,
                       const struct wp_assignment *of, bool host_told) {
    size_t bytes = context->state.len + of->request_id.len + of->agent_id.len + of->philosophy.len +
                   of->tenant.len + of->status.len + of->tier.len + of->reason.len + of->container_id.len +
                   of->host.len + of->image.len;
    struct item_answer *answer = wp_alloc(sizeof *answer + bytes);
    *answer = (struct item_answer){.next = trace->answers,
                                   .context = *context,
                                   .of = *of,
                                   .host_told = host_told,
                                   .published_us = wp_clock_wall_us()};
    struct wp_assignment *a = &answer->of;
    struct wp_str *const texts[] = {&answer->context.state,
                                    &a->request_id,
                                    &a->agent_id,
                                    &a->philosophy,
                                    &a->tenant,
                                    &a->status,
                                    &a->tier,
                                    &a->reason,
                                    &a->container_id,
                                    &a->host,
                                    &a->image};
    char *at = answer->bytes;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) keep(texts[i], &at);
    trace->answers = answer;
}

const char *item_trace_last(const struct wp_assignment *of) {
    return wp_str_is(of->status, "lost") ? "lost" : "publish";
}

/* ---- spans ---- */

struct sending { /* what all spans of an event share */
    const struct pipeline_context *pipeline;
    char *asked, *answered; /* owned: full names of container-acquire and container-assignment */
};

static struct wp_span below(const struct wp_trace_context *context, const char *name, struct wp_str which) {
    struct wp_span span = {
        .trace = context->own.trace, .state = context->state, .name = name, .kind = WP_SPAN_INTERNAL};
    memcpy(span.parent, context->own.span, sizeof span.parent);
    wp_span_id_below(context->own.span, name, which, span.id);
    return span;
}

/* Attributes by https://opentelemetry.io/docs/specs/semconv/messaging/kafka/. */
static void add_kafka(struct wp_span *span, const char *operation, const char *topic) {
    wp_span_text(span, "messaging.system", WP_STR("kafka"));
    wp_span_text(span, "messaging.operation.name", wp_str(operation));
    wp_span_text(span, "messaging.operation.type", wp_str(operation));
    wp_span_text(span, "messaging.destination.name", wp_str(topic));
}

/* The record that the sender wrote. partition: room for its number. */
static void add_record(struct wp_span *span, const struct pipeline_context *pipeline,
                       const struct wp_trace_context *context, char partition[16]) {
    snprintf(partition, 16, "%d", (int)context->partition);
    wp_span_text(span, "messaging.destination.partition.id", wp_str(partition));
    wp_span_number(span, "messaging.kafka.offset", context->offset);
    wp_span_text(span, "messaging.consumer.group.name",
                 wp_str(wp_settings_get(&pipeline->config->kafka, "group.id")));
}

static void add_answer(struct wp_span *span, const struct wp_assignment *of) {
    wp_span_text(span, "warmpool.request_id", of->request_id);
    wp_span_text(span, "warmpool.agent_id", of->agent_id);
    wp_span_text(span, "warmpool.philosophy", of->philosophy);
    wp_span_text(span, "warmpool.tenant", of->tenant);
    wp_span_text(span, "warmpool.status", of->status);
    wp_span_text(span, "warmpool.start", of->tier);
    wp_span_text(span, "warmpool.host", of->host);
    wp_span_text(span, "container.name", of->container_id);
    wp_span_text(span, "container.image.name", of->image);
}

/* Its reason begins with a word for programs. */
static void add_failure(struct wp_span *span, const struct wp_assignment *of) {
    const char *colon = of->reason.len > 0 ? memchr(of->reason.ptr, ':', of->reason.len) : NULL;
    if (wp_str_is(of->status, "assigned")) return;
    span->failed = true;
    span->why = of->reason;
    wp_span_text(span, "error.type",
                 (struct wp_str){of->reason.ptr, colon ? (size_t)(colon - of->reason.ptr) : of->reason.len});
}

static void send_queue(const struct sending *sending, const struct item_trace *trace) {
    char partition[16];
    struct wp_span span = below(&trace->own, "queue", WP_STR(""));
    span.kind = WP_SPAN_CONSUMER;
    span.start_us = trace->own.start_us;
    span.end_us = trace->called_us;
    add_kafka(&span, "receive", sending->asked);
    add_record(&span, sending->pipeline, &trace->own, partition);
    wp_exporter_add(sending->pipeline->exporter, &span);
}

static void send_acquire(const struct sending *sending, const struct item_answer *answer, int64_t now_us) {
    char partition[16];
    struct wp_span span = {.trace = answer->context.own.trace,
                           .state = answer->context.state,
                           .name = "acquire",
                           .kind = WP_SPAN_CONSUMER,
                           .start_us = answer->context.start_us,
                           .end_us = now_us};
    memcpy(span.id, answer->context.own.span, sizeof span.id);
    memcpy(span.parent, answer->context.parent, sizeof span.parent);
    add_kafka(&span, "process", sending->asked);
    add_record(&span, sending->pipeline, &answer->context, partition);
    add_answer(&span, &answer->of);
    add_failure(&span, &answer->of);
    wp_exporter_add(sending->pipeline->exporter, &span);
}

/* `publish` of an answer; `lost` of the notice about a lease. */
static void send_publish(const struct sending *sending, const struct item_answer *answer, int64_t now_us) {
    const char *name = item_trace_last(&answer->of);
    struct wp_span span = below(&answer->context, name, WP_STR(""));
    span.kind = WP_SPAN_PRODUCER;
    span.start_us = answer->published_us;
    span.end_us = now_us;
    add_kafka(&span, "send", sending->answered);
    if (strcmp(name, "lost") == 0) {
        add_answer(&span, &answer->of);
        add_failure(&span, &answer->of);
    }
    wp_exporter_add(sending->pipeline->exporter, &span);
}

/* A part of the start, which ended at end_us. Returns when it began. */
static int64_t send_part(const struct sending *sending, const struct item_answer *answer, const char *name,
                         double ms, int64_t end_us) {
    struct wp_span span = below(&answer->context, name, answer->of.container_id);
    span.start_us = end_us - (int64_t)(ms * 1000);
    span.end_us = end_us;
    wp_span_text(&span, "warmpool.host", answer->of.host);
    wp_span_text(&span, "container.name", answer->of.container_id);
    wp_exporter_add(sending->pipeline->exporter, &span);
    return span.start_us;
}

/* The parts by the answer's `startup`, back from its publication. Between the container's start and the bind
 * lies the time that the host's event was on its way. */
static void send_parts(const struct sending *sending, const struct item_answer *answer) {
    const struct wp_startup *startup = &answer->of.startup;
    int64_t at = answer->published_us;
    if (answer->of.wait_ms > 0) (void)send_part(sending, answer, "wait", answer->of.wait_ms, at);
    if (!answer->of.has_startup) return;
    if (startup->bind_ms > 0) at = send_part(sending, answer, "bind", startup->bind_ms, at);
    if (answer->host_told || !wp_str_is(answer->of.tier, "cold")) return;
    at -= (int64_t)(startup->publish_ms * 1000);
    at = send_part(sending, answer, "ready", startup->ready_ms, at);
    at = send_part(sending, answer, "start", startup->start_ms, at);
    (void)send_part(sending, answer, "create", startup->create_ms, at);
}

static void send_answer(const struct sending *sending, const struct item_answer *answer) {
    int64_t now_us = wp_clock_wall_us();
    send_publish(sending, answer, now_us);
    if (wp_str_is(answer->of.status, "lost")) return;
    send_parts(sending, answer);
    send_acquire(sending, answer, now_us);
}

void item_trace_send(const struct pipeline_context *pipeline, const struct item_trace *trace) {
    if (!pipeline->exporter) return;
    struct sending sending = {.pipeline = pipeline,
                              .asked = wp_topic_full_name(pipeline->config, WP_TOPIC_ACQUIRE),
                              .answered = wp_topic_full_name(pipeline->config, WP_TOPIC_ASSIGNMENT)};
    if (trace->is_own) send_queue(&sending, trace);
    for (const struct item_answer *answer = trace->answers; answer; answer = answer->next)
        send_answer(&sending, answer);
    free(sending.asked);
    free(sending.answered);
}

void item_trace_free(struct item_trace *trace) {
    if (!trace) return;
    while (trace->answers) {
        struct item_answer *answer = trace->answers;
        trace->answers = answer->next;
        free(answer);
    }
    free(trace);
}
