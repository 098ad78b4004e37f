/* The Kafka source, what it asks of Kafka on the side: commits and log ends of a partition, whether the
 * brokers and topics are there, how far behind we are. The questions block, so they run in the loop's thread
 * pool; answers and everything else are on the loop's thread. */
#include <stdio.h>
#include <stdlib.h>
#include "bus/source_private.h"
#include "core/log.h"

#define LOOK_TIMEOUT_MS 5000
#define PROBE_TIMEOUT_MS 2000

/* ---- health ---- */

/* One line for a change, none for a repetition. */
static void set_health(struct wp_source *source, bool ready, const char *reason) {
    struct wp_health *health = &source->stats->kafka;
    if (health->ready == ready && strcmp(health->reason, reason) == 0) return;
    bool was_ready = health->ready;
    health->ready = ready;
    (void)snprintf(health->reason, sizeof(health->reason), "%s", reason);
    if (ready)
        wp_log(WP_LOG_INFO, "kafka_ready", "brokers=%s", source->brokers);
    else
        wp_log(WP_LOG_WARN, was_ready ? "kafka_away" : "kafka_not_ready", "brokers=%s reason=%s",
               source->brokers, reason);
}

void wp_source_not_ready(struct wp_source *source, const char *reason) {
    char text[sizeof(source->stats->kafka.reason)];
    (void)snprintf(text, sizeof(text), "Kafka at %s: %s", source->brokers, reason);
    set_health(source, false, text);
}

/* Errors of one connection are only remembered: another broker may do. */
void wp_source_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    (void)rk;
    struct wp_source *source = opaque;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        wp_source_not_ready(source, *source->trouble ? source->trouble : reason);
    else
        (void)snprintf(source->trouble, sizeof(source->trouble), "%s", reason);
}

struct probe {
    uv_work_t work;
    struct wp_source *source;
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
    probe->err = rd_kafka_metadata(probe->source->rk, 0, NULL, &metadata, PROBE_TIMEOUT_MS);
    if (probe->err) return;
    note_topics(probe, metadata);
    rd_kafka_metadata_destroy(metadata);
}

static void probe_done(uv_work_t *work, int status) {
    struct probe *probe = work->data;
    struct wp_source *source = probe->source;
    source->probing = false;
    if (status == 0 && !source->closing) {
        if (probe->err)
            wp_source_not_ready(source, *source->trouble ? source->trouble : rd_kafka_err2str(probe->err));
        else if (*probe->missing)
            wp_source_not_ready(source, probe->missing);
        else {
            *source->trouble = '\0';
            set_health(source, true, "");
        }
    }
    free(probe);
    wp_source_work_done(source);
}

static void probe_start(struct wp_source *source) {
    if (source->probing) return;
    struct probe *probe = wp_calloc(1, sizeof(*probe));
    probe->source = source;
    probe->work.data = probe;
    source->probing = true;
    source->works++;
    wp_assert(uv_queue_work(source->loop, &probe->work, probe_run, probe_done) == 0);
}

/* ---- lag ---- */

/* The log's end is as fresh as the latest fetch; before the first fetch it is the one looked up. */
static int64_t lag_of(const struct wp_source *source, const struct wp_part *part) {
    int64_t low = -1, high = -1;
    (void)rd_kafka_get_watermark_offsets(source->rk, source->names[part->tp.topic], part->tp.partition, &low,
                                         &high);
    if (high < part->high) high = part->high;
    int64_t at = part->next >= 0 ? part->next : part->start;
    if (at < 0) at = part->low > low ? part->low : low;
    return high > at && at >= 0 ? high - at : 0;
}

static void measure_lag(struct wp_source *source) {
    int64_t lag[WP_TOPICS_IN] = {0};
    for (size_t i = 0; i < source->part_count; i++) {
        const struct wp_part *part = source->parts[i];
        lag[part->tp.topic] += lag_of(source, part);
    }
    memcpy(source->stats->lag, lag, sizeof(lag));
}

void wp_source_watch(uv_timer_t *timer) {
    struct wp_source *source = timer->data;
    measure_lag(source);
    probe_start(source);
}

/* ---- looking ---- */

struct look {
    uv_work_t work;
    struct wp_source *source;
    rd_kafka_topic_partition_list_t *list;
    struct wp_tp_look *looks;
    uint64_t *assignments;
    size_t count;
    char error[256]; /* empty: it went well */
};

static void look_run(uv_work_t *work) {
    struct look *look = work->data;
    rd_kafka_t *rk = look->source->rk;
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
        struct wp_part *part = wp_source_part(look->source, look->looks[i].tp);
        if (!part || part->assignment != look->assignments[i]) continue;
        part->low = look->looks[i].low;
        part->high = look->looks[i].high;
        look->looks[kept++] = look->looks[i];
    }
    return kept;
}

static void look_done(uv_work_t *work, int status) {
    struct look *look = work->data;
    struct wp_source *source = look->source;
    if (status == 0 && !source->closing) {
        size_t count = still_ours(look);
        if (count > 0)
            source->handler->looked(source->ctx, look->looks, count, *look->error ? look->error : NULL);
    }
    rd_kafka_topic_partition_list_destroy(look->list);
    free(look->looks);
    free(look->assignments);
    free(look);
    wp_source_work_done(source);
}

void wp_source_look(struct wp_source *source, const struct wp_tp *list, size_t count) {
    struct look *look = wp_calloc(1, sizeof(*look));
    look->source = source;
    look->work.data = look;
    look->count = count;
    look->list = wp_source_list(source, list, NULL, count);
    look->looks = wp_calloc(count + 1, sizeof(*look->looks));
    look->assignments = wp_calloc(count + 1, sizeof(*look->assignments));
    for (size_t i = 0; i < count; i++) {
        const struct wp_part *part = wp_source_part(source, list[i]);
        look->looks[i] = (struct wp_tp_look){list[i], -1, -1, -1};
        look->assignments[i] = part ? part->assignment : 0;
    }
    source->works++;
    wp_assert(uv_queue_work(source->loop, &look->work, look_run, look_done) == 0);
}
