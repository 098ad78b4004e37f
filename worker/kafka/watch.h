/* How the consumer's Kafka is: whether brokers and topics are there, and how far behind the partitions are.
 * The loop's thread. */
#ifndef WP_KAFKA_WATCH_H
#define WP_KAFKA_WATCH_H
#include "core/stats.h"
#include "kafka/client.h"
#include "kafka/partitions.h"

struct wp_watch {
    struct wp_client *client;          /* borrowed */
    const struct wp_partitions *table; /* borrowed */
    struct wp_stats *stats;            /* kafka and lag are kept up to date */
    char *brokers;                     /* owned */
    bool probing;
    char trouble[256]; /* the latest connection error, as the reason when all brokers are down */
};

void wp_watch_init(struct wp_watch *watch, struct wp_client *client, const struct wp_partitions *table,
                   struct wp_stats *stats, const struct wp_config *config);
void wp_watch_done(struct wp_watch *watch);
/* librdkafka's error callback: errors of one connection are only remembered, because another broker may do.
 */
void wp_watch_error(struct wp_watch *watch, rd_kafka_resp_err_t err, const char *reason);
void wp_watch_not_ready(struct wp_watch *watch, const char *reason);
/* Every second: measures the lag, and asks the brokers how they are. */
void wp_watch_tick(struct wp_watch *watch);

#endif
