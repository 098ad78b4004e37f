/* The consumer's membership in its group: assignment and revocation, starts of partitions (seeks), commits.
 * Calls the client and the table of partitions, and its user by callbacks alone. The loop's thread. */
#ifndef WP_KAFKA_GROUP_H
#define WP_KAFKA_GROUP_H
#include "kafka/client.h"
#include "kafka/partitions.h"

struct wp_group_user {
    struct wp_consumer_partition *(*assigned)(void *ctx, enum wp_topic topic, int32_t number);
    void (*revoked)(void *ctx, struct wp_consumer_partition *const *list, size_t count, bool lost);
    void (*rebalanced)(void *ctx, bool joined); /* joined: after an assignment; false: after a revocation */
    void (*started)(void *ctx);                 /* a partition is running: there may be something to take */
};

struct wp_group {
    const struct wp_config *config; /* borrowed */
    struct wp_client *client;       /* borrowed */
    struct wp_partitions *table;    /* borrowed; this file adds and removes */
    const struct wp_group_user *user;
    void *ctx;
    const struct wp_wakeup *wakeup;   /* borrowed; of the fetch queues */
    uv_timer_t retry;                 /* tries refused seeks again */
    bool seeking;                     /* a seek is under way in the thread pool */
    rd_kafka_resp_err_t commit_error; /* of the latest commit: logged when it changes */
    bool closing;                     /* no partition is adopted any more */
};

void wp_group_init(struct wp_group *group, const struct wp_config *config, struct wp_client *client,
                   struct wp_partitions *table, const struct wp_group_user *user, void *ctx,
                   const struct wp_wakeup *wakeup);
/* To be called from librdkafka's callbacks, which run when the loop polls. */
void wp_group_rebalance(struct wp_group *group, rd_kafka_resp_err_t err,
                        rd_kafka_topic_partition_list_t *list);
void wp_group_committed(struct wp_group *group, rd_kafka_resp_err_t err,
                        const rd_kafka_topic_partition_list_t *list);
void wp_group_start(struct wp_group *group, struct wp_consumer_partition *p, int64_t offset);
/* Takes the list. */
void wp_group_commit(struct wp_group *group, rd_kafka_topic_partition_list_t *list);
/* Removes every partition and reports it to the user as lost. */
void wp_group_abandon(struct wp_group *group);

#endif
