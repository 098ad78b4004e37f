/* Owns the table of assigned partitions, their fetch queues and the records that are held. */
#include "kafka/partitions.h"
#include <stdlib.h>
#include "core/buf.h"
#include "core/err.h"

void wp_partitions_init(struct wp_partitions *table, const struct wp_config *config) {
    *table = (struct wp_partitions){0};
    for (int i = 0; i < WP_TOPICS_IN; i++) table->names[i] = wp_topic_full_name(config, (enum wp_topic)i);
}

void wp_partitions_done(struct wp_partitions *table) {
    wp_assert(table->count == 0);
    for (int i = 0; i < WP_TOPICS_IN; i++) free(table->names[i]);
    free(table->list);
}

static void open_queue(const struct wp_partitions *table, struct wp_consumer_partition *p,
                       const struct wp_wakeup *wakeup) {
    p->queue = rd_kafka_queue_get_partition(table->rk, table->names[p->topic], p->number);
    wp_assert(p->queue);
    rd_kafka_queue_forward(p->queue, NULL);
    wp_wakeup_watch(wakeup, p->queue);
}

void wp_partitions_add(struct wp_partitions *table, struct wp_consumer_partition *p, enum wp_topic topic,
                       int32_t number, const struct wp_wakeup *wakeup) {
    *p = (struct wp_consumer_partition){.topic = topic,
                                        .number = number,
                                        .committed = -1,
                                        .low = -1,
                                        .high = -1,
                                        .position = -1,
                                        .start = -1,
                                        .assignment = ++table->assignments};
    open_queue(table, p, wakeup);
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 16;
        table->list = wp_realloc(table->list, table->capacity * sizeof *table->list);
    }
    table->list[table->count++] = p;
}

void wp_partitions_remove(struct wp_partitions *table, struct wp_consumer_partition *p) {
    size_t i = 0;
    while (i < table->count && table->list[i] != p) i++;
    wp_assert(i < table->count);
    table->list[i] = table->list[--table->count];
    wp_partition_drop_held(p);
    free(p->held);
    p->held = NULL;
    p->held_capacity = 0;
    wp_wakeup_unwatch(p->queue);
    rd_kafka_queue_destroy(p->queue);
    p->queue = NULL;
    wp_partition_set_state(p, WP_PARTITION_REVOKED);
}

struct wp_consumer_partition *wp_partitions_find(const struct wp_partitions *table, enum wp_topic topic,
                                                 int32_t number) {
    for (size_t i = 0; i < table->count; i++) {
        struct wp_consumer_partition *p = table->list[i];
        if (p->number == number && p->topic == topic) return p;
    }
    return NULL;
}

bool wp_partitions_has(const struct wp_partitions *table, const struct wp_consumer_partition *p,
                       uint64_t assignment) {
    for (size_t i = 0; i < table->count; i++)
        if (table->list[i] == p) return p->assignment == assignment;
    return false;
}

enum wp_topic wp_partitions_topic(const struct wp_partitions *table, const char *full_name) {
    for (int i = 0; i < WP_TOPICS_IN; i++)
        if (strcmp(table->names[i], full_name) == 0) return (enum wp_topic)i;
    return WP_TOPICS;
}

void wp_partition_set_state(struct wp_consumer_partition *p, enum wp_partition_state state) {
    wp_assert(p->state != WP_PARTITION_REVOKED);
    p->state = state;
}

void wp_partition_hold(struct wp_consumer_partition *p, const struct wp_taken *list, size_t count) {
    if (p->held_count + count > p->held_capacity) {
        p->held_capacity = p->held_count + count;
        p->held = wp_realloc(p->held, p->held_capacity * sizeof *p->held);
    }
    memcpy(p->held + p->held_count, list, count * sizeof *list);
    p->held_count += count;
}

void wp_partition_drop_held(struct wp_consumer_partition *p) {
    for (size_t i = 0; i < p->held_count; i++) wp_record_in_free(p->held[i].record);
    p->held_count = 0;
}

rd_kafka_topic_partition_t *wp_partitions_list_add(const struct wp_partitions *table,
                                                   rd_kafka_topic_partition_list_t *list,
                                                   const struct wp_consumer_partition *p, int64_t offset) {
    rd_kafka_topic_partition_t *item =
        rd_kafka_topic_partition_list_add(list, table->names[p->topic], p->number);
    item->offset = offset;
    return item;
}
