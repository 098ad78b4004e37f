/* Health of the consumer's Kafka and lag of its partitions. The probe blocks, so it runs in the thread pool.
 */
#include "kafka/watch.h"
#include <stdio.h>
#include <stdlib.h>
#include "core/log.h"

#define PROBE_TIMEOUT_MS 2000

void wp_watch_init(struct wp_watch *watch, struct wp_client *client, const struct wp_partitions *table,
                   struct wp_stats *stats, const struct wp_config *config) {
    const char *brokers = wp_settings_get(&config->kafka, "bootstrap.servers");
    *watch = (struct wp_watch){.client = client, .table = table, .stats = stats};
    watch->brokers = wp_strdup(brokers ? brokers : "");
    (void)snprintf(stats->kafka.reason, sizeof(stats->kafka.reason), "Kafka at %s: connecting",
                   watch->brokers);
}

void wp_watch_done(struct wp_watch *watch) {
    free(watch->brokers);
    watch->brokers = NULL;
}

/* ---- health ---- */

/* One line for a change, none for a repetition. */
static void set_health(struct wp_watch *watch, bool ready, const char *reason) {
    struct wp_health *health = &watch->stats->kafka;
    if (health->ready == ready && strcmp(health->reason, reason) == 0) return;
    bool was_ready = health->ready;
    health->ready = ready;
    (void)snprintf(health->reason, sizeof(health->reason), "%s", reason);
    if (ready)
        wp_log(WP_LOG_INFO, "kafka_ready", "brokers=%s", watch->brokers);
    else
        wp_log(WP_LOG_WARN, was_ready ? "kafka_away" : "kafka_not_ready", "brokers=%s reason=%s",
               watch->brokers, reason);
}

void wp_watch_not_ready(struct wp_watch *watch, const char *reason) {
    char text[sizeof(watch->stats->kafka.reason)];
    (void)snprintf(text, sizeof(text), "Kafka at %s: %s", watch->brokers, reason);
    set_health(watch, false, text);
}

void wp_watch_error(struct wp_watch *watch, rd_kafka_resp_err_t err, const char *reason) {
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        wp_watch_not_ready(watch, *watch->trouble ? watch->trouble : reason);
    else
        (void)snprintf(watch->trouble, sizeof(watch->trouble), "%s", reason);
}

struct probe {
    struct wp_client_work work;
    struct wp_watch *watch;
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

static void probe_run(struct wp_client_work *work) {
    struct probe *probe = (struct probe *)work;
    const rd_kafka_metadata_t *metadata;
    probe->err = rd_kafka_metadata(work->client->rk, 0, NULL, &metadata, PROBE_TIMEOUT_MS);
    if (probe->err) return;
    note_topics(probe, metadata);
    rd_kafka_metadata_destroy(metadata);
}

static void probe_done(struct wp_client_work *work, bool wanted) {
    struct probe *probe = (struct probe *)work;
    struct wp_watch *watch = probe->watch;
    watch->probing = false;
    if (!wanted) {
        free(probe);
        return;
    }
    if (probe->err) {
        wp_watch_not_ready(watch, *watch->trouble ? watch->trouble : rd_kafka_err2str(probe->err));
    } else if (*probe->missing) {
        wp_watch_not_ready(watch, probe->missing);
    } else {
        *watch->trouble = '\0';
        set_health(watch, true, "");
    }
    free(probe);
}

static void probe_start(struct wp_watch *watch) {
    if (watch->probing || watch->client->closing) return;
    struct probe *probe = wp_calloc(1, sizeof *probe);
    probe->watch = watch;
    probe->work.run = probe_run;
    probe->work.done = probe_done;
    watch->probing = true;
    wp_client_run(watch->client, &probe->work);
}

/* ---- lag ---- */

/* The log's end is as fresh as the latest fetch; before the first fetch it is the one that was asked for. */
static int64_t lag_of(const struct wp_watch *watch, const struct wp_consumer_partition *p) {
    int64_t low = -1, high = -1;
    (void)rd_kafka_get_watermark_offsets(watch->client->rk, watch->table->names[p->topic], p->number, &low,
                                         &high);
    if (high < p->high) high = p->high;
    int64_t at = p->position;
    if (at < 0) at = p->low > low ? p->low : low;
    return high > at && at >= 0 ? high - at : 0;
}

static void measure_lag(struct wp_watch *watch) {
    int64_t lag[WP_TOPICS_IN] = {0};
    for (size_t i = 0; i < watch->table->count; i++)
        lag[watch->table->list[i]->topic] += lag_of(watch, watch->table->list[i]);
    memcpy(watch->stats->lag, lag, sizeof(lag));
}

void wp_watch_tick(struct wp_watch *watch) {
    measure_lag(watch);
    probe_start(watch);
}
