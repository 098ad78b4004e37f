/* Asks Kafka for the group's commits and the ends of logs, off the loop. The loop's thread. */
#ifndef WP_KAFKA_OFFSET_QUERY_H
#define WP_KAFKA_OFFSET_QUERY_H
#include "kafka/client.h"
#include "kafka/partitions.h"

/* Called for each partition that is still assigned when the answer comes; error as in consumer.h. */
typedef void (*wp_offset_answer)(void *ctx, struct wp_consumer_partition *p, const char *error);

struct wp_offset_queries {
    struct wp_client *client;       /* borrowed */
    struct wp_partitions *table;    /* borrowed */
    const struct wp_config *config; /* borrowed */
    wp_offset_answer answer;
    void *ctx;
    char *cluster_id; /* by librdkafka; NULL until it is known */
};

void wp_offset_query(struct wp_offset_queries *queries, struct wp_consumer_partition *const *list,
                     size_t count);
void wp_offset_queries_done(struct wp_offset_queries *queries);

#endif
