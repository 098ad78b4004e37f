/* The Kafka consumer, what it asks of Kafka on the side: commits and log ends of a partition, whether the
 * brokers and topics are there, how far behind we are. The questions block, so they run in the loop's thread
 * pool; answers and everything else are on the loop's thread. */
#include <stdio.h>
#include <stdlib.h>
#include "kafka/consumer_private.h"
#include "core/log.h"

#define LOOK_TIMEOUT_MS 5000
#define PROBE_TIMEOUT_MS 2000

/* ---- health ---- */

/* One line for a change, none for a repetition. */
static void set_health(struct wp_consumer *consumer, bool ready, const char *reason) {
    struct wp_health *health = &consumer->stats->kafka;
    if (health->ready == ready && strcmp(health->reason, reason) == 0) return;
    bool was_ready = health->ready;
    health->ready = ready;
    (void)snprintf(health->reason, sizeof(health->reason), "%s", reason);
    if (ready)
        wp_log(WP_LOG_INFO, "kafka_ready", "brokers=%s", consumer->brokers);
    else
        wp_log(WP_LOG_WARN, was_ready ? "kafka_away" : "kafka_not_ready", "brokers=%s reason=%s",
               consumer->brokers, reason);
}

void wp_consumer_not_ready(struct wp_consumer *consumer, const char *reason) {
    char text[sizeof(consumer->stats->kafka.reason)];
    (void)snprintf(text, sizeof(text), "Kafka at %s: %s", consumer->brokers, reason);
    set_health(consumer, false, text);
}

/* Errors of one connection are only remembered: another broker may do. */
void wp_consumer_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    (void)rk;
    struct wp_consumer *consumer = opaque;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        wp_consumer_not_ready(consumer, *consumer->trouble ? consumer->trouble : reason);
    else
        (void)snprintf(consumer->trouble, sizeof(consumer->trouble), "%s", reason);
}

struct probe {
    uv_work_t work;
    struct wp_consumer *consumer;
    rd_kafka_resp_err_t err;
    char missing[200]; /* the first topic that cannot be used, and why */
};

static void note_topics(struct probe *probe, const rd_kafka_metadata_t *metadata) {
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        if (!topic->err || *probe->missing) continue;
        (void)snprintf(probe->missing, sizeof(probe->missing), "topic %s: %s", topic->topic,
                       rd_kafka_err2str(topic->err));
    }
}

static void probe_run(uv_work_t *work) {
    struct probe *probe = work->data;
    const rd_kafka_metadata_t *metadata;
    probe->err = rd_kafka_metadata(probe->consumer->rk, 0, NULL, &metadata, PROBE_TIMEOUT_MS);
    if (probe->err) return;
    note_topics(probe, metadata);
    rd_kafka_metadata_destroy(metadata);
}

static void probe_done(uv_work_t *work, int status) {
    struct probe *probe = work->data;
    struct wp_consumer *consumer = probe->consumer;
    consumer->probing = false;
    if (status == 0 && !consumer->closing) {
        if (probe->err)
            wp_consumer_not_ready(consumer,
                                  *consumer->trouble ? consumer->trouble : rd_kafka_err2str(probe->err));
        else if (*probe->missing)
            wp_consumer_not_ready(consumer, probe->missing);
        else {
            *consumer->trouble = '\0';
            set_health(consumer, true, "");
        }
    }
    free(probe);
    wp_consumer_work_done(consumer);
}

static void probe_start(struct wp_consumer *consumer) {
    if (consumer->probing) return;
    struct probe *probe = wp_calloc(1, sizeof(*probe));
    probe->consumer = consumer;
    probe->work.data = probe;
    consumer->probing = true;
    consumer->works++;
    wp_assert(uv_queue_work(consumer->loop, &probe->work, probe_run, probe_done) == 0);
}

/* ---- lag ---- */

/* The log's end is as fresh as the latest fetch; before the first fetch it is the one looked up. */
static int64_t lag_of(const struct wp_consumer *consumer, const struct wp_part *part) {
    int64_t low = -1, high = -1;
    (void)rd_kafka_get_watermark_offsets(consumer->rk, consumer->names[part->tp.topic], part->tp.partition,
                                         &low, &high);
    if (high < part->high) high = part->high;
    int64_t at = part->next >= 0 ? part->next : part->start;
    if (at < 0) at = part->low > low ? part->low : low;
    return high > at && at >= 0 ? high - at : 0;
}

static void measure_lag(struct wp_consumer *consumer) {
    int64_t lag[WP_TOPICS_IN] = {0};
    for (size_t i = 0; i < consumer->part_count; i++) {
        const struct wp_part *part = consumer->parts[i];
        lag[part->tp.topic] += lag_of(consumer, part);
    }
    memcpy(consumer->stats->lag, lag, sizeof(lag));
}

void wp_consumer_watch(uv_timer_t *timer) {
    struct wp_consumer *consumer = timer->data;
    measure_lag(consumer);
    probe_start(consumer);
}

/* ---- looking ---- */

struct look {
    uv_work_t work;
    struct wp_consumer *consumer;
    rd_kafka_topic_partition_list_t *list;
    struct wp_tp_look *looks;
    uint64_t *assignments;
    size_t count;
    char error[256]; /* empty: it went well */
};

static void look_run(uv_work_t *work) {
    struct look *look = work->data;
    rd_kafka_t *rk = look->consumer->rk;
    rd_kafka_resp_err_t err = rd_kafka_committed(rk, look->list, LOOK_TIMEOUT_MS);
    for (size_t i = 0; i < look->count && !err; i++) {
        struct wp_tp_look *each = &look->looks[i];
        const rd_kafka_topic_partition_t *item = &look->list->elems[i];
        err = item->err;
        if (!err)
            err = rd_kafka_query_watermark_offsets(rk, item->topic, item->partition, &each->low, &each->high,
                                                   LOOK_TIMEOUT_MS);
        each->committed = item->offset >= 0 ? item->offset : -1;
    }
    if (err) (void)snprintf(look->error, sizeof(look->error), "%s", rd_kafka_err2str(err));
}

/* Partitions that were revoked meanwhile are left out, also when they have come back since. */
static size_t still_ours(struct look *look) {
    size_t kept = 0;
    for (size_t i = 0; i < look->count; i++) {
        struct wp_part *part = wp_consumer_part(look->consumer, look->looks[i].tp);
        if (!part || part->assignment != look->assignments[i]) continue;
        part->low = look->looks[i].low;
        part->high = look->looks[i].high;
        look->looks[kept++] = look->looks[i];
    }
    return kept;
}

static void look_done(uv_work_t *work, int status) {
    struct look *look = work->data;
    struct wp_consumer *consumer = look->consumer;
    if (status == 0 && !consumer->closing) {
        size_t count = still_ours(look);
        if (count > 0)
            consumer->handler->looked(consumer->ctx, look->looks, count, *look->error ? look->error : NULL);
    }
    rd_kafka_topic_partition_list_destroy(look->list);
    free(look->looks);
    free(look->assignments);
    free(look);
    wp_consumer_work_done(consumer);
}

void wp_consumer_look(struct wp_consumer *consumer, const struct wp_tp *list, size_t count) {
    struct look *look = wp_calloc(1, sizeof(*look));
    look->consumer = consumer;
    look->work.data = look;
    look->count = count;
    look->list = wp_consumer_list(consumer, list, NULL, count);
    look->looks = wp_calloc(count + 1, sizeof(*look->looks));
    look->assignments = wp_calloc(count + 1, sizeof(*look->assignments));
    for (size_t i = 0; i < count; i++) {
        const struct wp_part *part = wp_consumer_part(consumer, list[i]);
        look->looks[i] = (struct wp_tp_look){list[i], -1, -1, -1};
        look->assignments[i] = part ? part->assignment : 0;
    }
    consumer->works++;
    wp_assert(uv_queue_work(consumer->loop, &look->work, look_run, look_done) == 0);
}
