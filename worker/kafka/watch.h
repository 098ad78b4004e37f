/* Watches the consumer's Kafka: whether brokers, topics and the group are available (health.h), and the lag
 * of the partitions. The loop's thread. */
#ifndef WP_KAFKA_WATCH_H
#define WP_KAFKA_WATCH_H
#include "kafka/client.h"
#include "kafka/health.h"
#include "kafka/partitions.h"

struct wp_watch {
    struct wp_client *client;          /* borrowed */
    const struct wp_partitions *table; /* borrowed */
    struct wp_stats *stats;            /* kafka and lag are kept up to date */
    const struct wp_config *config;    /* borrowed */
    bool probing, joined;
    bool fenced;       /* final for this client */
    bool asking_rival; /* for the member of the group that has our id */
    bool id_free;      /* fenced, and no member has our id any more */
    uint64_t rival_asked_ms;
    uint64_t left_ms;  /* loop time of the latest revocation; 0: none yet */
    char trouble[256]; /* the latest connection error, as the reason when all brokers are down */
};

void wp_watch_init(struct wp_watch *watch, struct wp_client *client, const struct wp_partitions *table,
                   struct wp_stats *stats, const struct wp_config *config);
/* An error of the client as a whole: from librdkafka's error callback, or from polling. */
void wp_watch_error(struct wp_watch *watch, rd_kafka_resp_err_t err, const char *reason);
/* An error of one partition alone; RD_KAFKA_RESP_ERR_NO_ERROR: it is over. */
void wp_watch_partition(struct wp_watch *watch, struct wp_consumer_partition *p, rd_kafka_resp_err_t err);
void wp_watch_joined(struct wp_watch *watch); /* partitions, or none, were assigned */
void wp_watch_left(struct wp_watch *watch);   /* they were revoked: the group will be joined again */
/* To be called every second: measures the lag, and asks the brokers for metadata. */
void wp_watch_tick(struct wp_watch *watch);

#endif
