/* Owns partitions and their items. The loop's thread. */
#include "pipeline/partition.h"
#include "core/clock.h"
#include "core/log.h"
#include <stdlib.h>

static void item_release(struct item *item) {
    if (--item->references > 0) return;
    item_trace_free(item->trace);
    wp_record_in_free(item->record);
    free(item);
}

/* The delivery core lets go of an event. */
static void on_release(void *ctx, void *event_item, enum wp_delivery_end end) {
    struct partition *p = ctx;
    struct item *item = event_item;
    struct wp_stats *stats = p->context->stats;
    if (end != WP_FORGOTTEN && item->trace) item_trace_send(p->context, item->trace);
    if (end != WP_FORGOTTEN)
        stats->events[p->row->topic][end == WP_DEAD_LETTERED ? WP_DONE_DEAD : WP_DONE_OK]++;
    if (end == WP_DELIVERED && item->answers && p->row->topic == WP_TOPIC_ACQUIRE)
        wp_histogram_add(&stats->acquire_to_assignment, wp_clock_us() - item->read_us);
    wp_record_in_free(item->record);
    item->record = NULL;
    item_release(item);
}

struct partition *partition_new(const struct pipeline_context *context, enum wp_topic topic,
                                struct wp_delivery_budget *budget) {
    struct partition *p = wp_calloc(1, sizeof *p);
    *p = (struct partition){
        .context = context, .row = &topic_table[topic], .end = -1, .commit_asked = -1, .references = 1};
    const struct wp_delivery_owner owner = {
        .window = (size_t)context->config->worker.window, .budget = budget, .release = on_release, .ctx = p};
    p->delivery = wp_delivery_new(&owner, wp_clock_us());
    return p;
}

void partition_hold(struct partition *p) {
    p->references++;
}

void partition_release(struct partition *p) {
    if (--p->references > 0) return;
    wp_assert(!p->delivery);
    free(p->name);
    free(p);
}

void partition_retire(struct partition *p) {
    partition_wait_for_schema(p, false);
    wp_delivery_free(p->delivery);
    p->delivery = NULL;
    partition_release(p);
}

void partition_wait_for_schema(struct partition *p, bool waits) {
    struct wp_stats *stats = p->context->stats;
    if (waits == p->waits_for_schema) return;
    p->waits_for_schema = waits;
    if (waits)
        stats->registry_waiting++;
    else
        stats->registry_waiting--;
    if (waits)
        wp_log(WP_LOG_INFO, "partition_waits", "partition=%s reason=%s", p->name, "a schema is looked up");
}

void partition_take(struct partition *p, struct wp_record_in *record) {
    struct item *item = wp_calloc(1, sizeof *item);
    *item = (struct item){.partition = p,
                          .record = record,
                          .offset = record->offset,
                          .read_us = wp_clock_us(),
                          .generation = wp_delivery_generation(p->delivery),
                          .references = 1};
    if (record->append_time)
        wp_append_clock_seen(&p->context->stats->append_clock, record->timestamp_ms, item->read_us);
    if (!wp_delivery_take(p->delivery, record->offset, record->bytes + sizeof *item, item))
        item_release(item);
}

void item_hold(struct item *item) {
    item->references++;
    partition_hold(item->partition);
}

bool item_delivered(struct item *item, bool ok) {
    struct partition *p = item->partition;
    bool restarted = false;
    if (p->delivery && ok)
        wp_delivery_confirmed(p->delivery, item->generation, item->offset);
    else if (p->delivery)
        restarted = wp_delivery_unconfirmed(p->delivery, item->generation, wp_clock_us());
    if (restarted) partition_restarted(p, "a record could not be delivered to Kafka");
    item_release(item);
    partition_release(p);
    return restarted;
}

void partition_restarted(struct partition *p, const char *why) {
    wp_log(WP_LOG_WARN, "partition_restarted", "partition=%s floor=%lld reason=%s", p->name ? p->name : "?",
           (long long)wp_delivery_floor(p->delivery), why);
    p->context->stats->partition_restarts++;
}

void partition_restart(struct partition *p, const char *why) {
    if (wp_delivery_restart(p->delivery, wp_clock_us(), 0)) partition_restarted(p, why);
}
