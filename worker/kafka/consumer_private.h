/* What the files of the consumer share. consumer.c owns the loop's side (wake-ups, taking, handing over),
 * source_group.c the group's (assignment, starts, commits), source_watch.c what is asked of Kafka on the side
 * (offsets, health, lag). */
#ifndef WP_KAFKA_CONSUMER_PRIVATE_H
#define WP_KAFKA_CONSUMER_PRIVATE_H
#include "kafka/consumer.h"

/* assigned -> starting (librdkafka is not ready for the seek: tried again) -> running -> broken (offset out
 * of range) -> starting; wp_consumer_start moves any of them to starting or running. Only
 * wp_consumer_set_state changes it. */
enum wp_part_state { WP_PART_ASSIGNED, WP_PART_STARTING, WP_PART_RUNNING, WP_PART_BROKEN };

struct wp_part {
    struct wp_tp tp;
    uint64_t assignment;     /* this assignment's number: late answers carry an older one */
    rd_kafka_queue_t *queue; /* its own fetch queue, not forwarded: not draining it is the pause */
    enum wp_part_state state;
    bool fetching;     /* resumed in librdkafka; resuming twice would replay its prefetch */
    bool paused;       /* by wp_consumer_pause */
    bool stopped;      /* librdkafka gave up on the offset: only a new assignment makes it fetch again */
    uint64_t starts;   /* a start during a hand-over makes the rest of the batch stale */
    int64_t start;     /* where the latest start began */
    int64_t next;      /* the offset after the last one taken; -1: none taken since the start */
    int64_t low, high; /* as last looked */
    rd_kafka_message_t **held; /* taken but not handed over, because of a pause in the middle of a batch */
    size_t held_count, held_cap;
};

struct wp_consumer {
    uv_loop_t *loop;
    const struct wp_consumer_handler *handler;
    void *ctx;
    struct wp_stats *stats;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* rebalances, errors, commits: everything but messages */
    rd_kafka_topic_t *topics[WP_TOPICS_IN];
    char *names[WP_TOPICS_IN];
    char *brokers;
    char *cluster_id;

    uv_poll_t poll;
    uv_timer_t tick, retry, watch;
    int wake_fd;      /* eventfd that librdkafka's queues write to, and we when there is more to take */
    int open_handles; /* of the four above */
    int works;        /* uv_queue_work in flight; the client lives until they end */
    bool closing, probing;

    struct wp_part **parts;
    size_t part_count, part_cap;
    size_t cursor; /* the partition that goes first next time */
    uint64_t assignments;
    rd_kafka_message_t **batch;
    size_t batch_size;
    char trouble[256]; /* the latest connection error, as the reason when all brokers are down */
};

/* consumer.c */
void wp_consumer_wake(struct wp_consumer *consumer);
void wp_consumer_set_state(struct wp_part *part, enum wp_part_state state);
struct wp_part *wp_consumer_part(const struct wp_consumer *consumer, struct wp_tp tp);
struct wp_part *wp_consumer_part_add(struct wp_consumer *consumer, struct wp_tp tp);
void wp_consumer_part_remove(struct wp_consumer *consumer, struct wp_tp tp);
void wp_consumer_drop_held(struct wp_part *part);
void wp_consumer_work_done(struct wp_consumer *consumer); /* at the end of every after-work callback */
/* WP_TOPICS when the name is none of ours. */
enum wp_topic wp_consumer_topic(const struct wp_consumer *consumer, const char *name);

/* source_group.c */
void wp_consumer_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                           void *opaque);
void wp_consumer_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                           void *opaque);
void wp_consumer_retry(uv_timer_t *timer);
rd_kafka_topic_partition_list_t *wp_consumer_list(const struct wp_consumer *consumer,
                                                  const struct wp_tp *list, const int64_t *offsets,
                                                  size_t count);

/* source_watch.c */
void wp_consumer_error(rd_kafka_t *rk, int err, const char *reason, void *opaque);
void wp_consumer_not_ready(struct wp_consumer *consumer, const char *reason);
void wp_consumer_watch(uv_timer_t *timer);

#endif
