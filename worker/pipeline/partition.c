/* Owns a partition's window, its events' states and its floor: delivery rules 4 to 6. The loop's thread. */
#include "pipeline/partition.h"
#include "core/clock.h"
#include "core/log.h"
#include "pipeline/internal.h"
#include <stdio.h>
#include <stdlib.h>

struct partition *partition_new(struct wp_pipeline *pipeline, enum wp_topic topic) {
    struct partition *p = wp_calloc(1, sizeof *p);
    *p = (struct partition){.pipeline = pipeline,
                            .handler = &wp_handlers[topic],
                            .references = 1,
                            .retry_ms = PARTITION_RETRY_MS,
                            .acked = -1,
                            .sent = -1,
                            .single_until = -1};
    p->capacity = 64;
    p->window = wp_calloc(p->capacity, sizeof *p->window);
    return p;
}

void partition_release(struct partition *p) {
    if (--p->references > 0) return;
    wp_assert(p->state == PARTITION_GONE && p->count == 0);
    free(p->window);
    free(p->name);
    free(p);
}

static void event_free(struct event *event) {
    wp_record_in_free(event->record);
    free(event);
}

static void window_add(struct partition *p, struct event *event) {
    if (p->count == p->capacity) {
        struct event **grown = wp_calloc(p->capacity * 2, sizeof *grown);
        for (size_t i = 0; i < p->count; i++) grown[i] = partition_at(p, i);
        free(p->window);
        p->window = grown;
        p->first = 0;
        p->capacity *= 2;
    }
    wp_assert(p->capacity > 0);
    p->window[(p->first + p->count++) % p->capacity] = event;
}

/* The index of the first event at or after offset. */
static size_t index_of(const struct partition *p, int64_t offset) {
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (partition_at(p, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct event *partition_find(const struct partition *p, int64_t offset) {
    size_t i = index_of(p, offset);
    return i < p->count && partition_at(p, i)->offset == offset ? partition_at(p, i) : NULL;
}

void partition_take(struct partition *p, struct wp_record_in *record) {
    int64_t newest = p->count > 0 ? partition_at(p, p->count - 1)->offset : p->floor - 1;
    if (p->state != PARTITION_RUNNING || record->offset <= newest) { /* stale: taken before a restart */
        wp_record_in_free(record);
        return;
    }
    struct event *event = wp_calloc(1, sizeof *event);
    *event =
        (struct event){.partition = p, .record = record, .offset = record->offset, .read_us = wp_clock_us()};
    if (record->append_time)
        wp_append_clock_seen(&p->pipeline->stats->append_clock, record->timestamp_ms, event->read_us);
    window_add(p, event);
    if (!p->paused && p->count >= (size_t)p->pipeline->config->worker.window) {
        p->paused = true;
        wp_consumer_pause(p->pipeline->consumer, &p->base);
    }
}

/* Control records and aborted transactions at the log's end are finished when all before them is. */
static void pass_control_records(struct partition *p) {
    if (p->count == 0 && p->state == PARTITION_RUNNING && p->base.position > p->floor)
        p->floor = p->base.position;
}

void partition_end_reached(struct partition *p) {
    pass_control_records(p);
}

/* The completed prefix leaves the window. */
static void advance_floor(struct partition *p) {
    while (p->count > 0 && partition_at(p, 0)->state == EVENT_DONE) {
        struct event *event = partition_at(p, 0);
        p->floor = event->offset + 1;
        p->first = (p->first + 1) % p->capacity;
        p->count--;
        if (p->unsent > 0) p->unsent--;
        event_free(event);
    }
    pass_control_records(p);
    if (p->paused && p->state == PARTITION_RUNNING &&
        p->count <= (size_t)p->pipeline->config->worker.window / 2) {
        p->paused = false;
        if (!p->pipeline->stopping) wp_consumer_resume(p->pipeline->consumer, &p->base);
    }
}

static void complete(struct event *event) {
    struct partition *p = event->partition;
    event->state = EVENT_DONE;
    wp_record_in_free(event->record);
    event->record = NULL;
    p->pipeline->stats->events[p->base.topic][event->dead ? WP_DONE_DEAD : WP_DONE_OK]++;
    if (event->answered && p->base.topic == WP_TOPIC_ACQUIRE)
        wp_histogram_add(&p->pipeline->stats->acquire_to_assignment, wp_clock_us() - event->read_us);
}

void partition_answered(struct partition *p, int64_t first, int64_t last) {
    for (size_t i = index_of(p, first); i < p->count; i++) {
        struct event *event = partition_at(p, i);
        if (event->offset > last) break;
        if (event->state != EVENT_SENT) continue;
        event->state = EVENT_ANSWERED;
        if (event->outstanding == 0) complete(event); /* answered without a record */
    }
    advance_floor(p);
}

void partition_event_done(struct event *event) {
    if (event->partition) {
        struct partition *p = event->partition;
        complete(event);
        advance_floor(p);
    } else {
        event->state = EVENT_DONE;
        event_free(event);
    }
}

void partition_forget(struct partition *p) {
    for (size_t i = 0; i < p->count; i++) {
        struct event *event = partition_at(p, i);
        event->partition = NULL;
        if (event->outstanding > 0)
            p->pipeline->forgotten++; /* freed by its last delivery report */
        else
            event_free(event);
    }
    p->first = p->count = p->unsent = 0;
    p->epoch++;
    p->calls = 0;
    p->dirty = false;
    p->single_until = -1;
    p->retry_at_us = 0;
}

void partition_restart(struct partition *p, const char *why) {
    if (p->state == PARTITION_GONE) return;
    wp_log(WP_LOG_WARN, "partition_restarted", "partition=%s floor=%lld reason=%s", p->name ? p->name : "?",
           (long long)p->floor, why);
    p->pipeline->stats->partition_restarts++;
    wp_consumer_pause(p->pipeline->consumer, &p->base);
    partition_forget(p);
    p->paused = false;
    partition_look(p);
}
