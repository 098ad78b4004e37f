/* The Kafka consumer of the input topics: manual offsets, manual starts, pause and resume on the loop's own
 * thread. It knows nothing of Redis: what to read and where to begin is the pipeline's word. One thread: the
 * loop's. librdkafka's queue wakes the loop through a non-blocking descriptor; a batch is taken without
 * waiting; a 100 ms timer polls too.
 *
 * A partition's life: assigned (paused, nothing is fetched) -> wp_consumer_look -> wp_consumer_start (seek,
 * resume) -> messages, pause/resume -> revoked. Late answers about a revoked partition are dropped by the
 * consumer. */
#ifndef WP_KAFKA_CONSUMER_H
#define WP_KAFKA_CONSUMER_H
#include <librdkafka/rdkafka.h>
#include <uv.h>
#include "wire/topics.h"
#include "core/stats.h"

struct wp_consumer;

struct wp_tp { /* a partition of an input topic */
    enum wp_topic topic;
    int32_t partition;
};

struct wp_tp_look { /* what Kafka says of it; offsets are -1 when there is none */
    struct wp_tp tp;
    int64_t committed; /* the group's commit */
    int64_t low, high; /* first offset in the log, and the one after the last */
};

struct wp_consumer_handler {
    /* Called on the loop's thread. Assigned ones are paused until wp_consumer_start. */
    void (*assigned)(void *ctx, const struct wp_tp *list, size_t count);
    /* The last chance to commit with wp_consumer_commit_now (not when lost). The partitions are gone when it
     * returns. */
    void (*revoked)(void *ctx, const struct wp_tp *list, size_t count, bool lost);
    /* Takes ownership of message (rd_kafka_message_destroy). Never called for a paused or not started
     * partition. */
    void (*message)(void *ctx, struct wp_tp tp, rd_kafka_message_t *message);
    /* After the messages of one wake-up were handed over: send what they add up to. */
    void (*batch_end)(void *ctx);
    /* The offset asked for does not exist (auto.offset.reset=error): rule 6, "the topic was made anew". */
    void (*out_of_range)(void *ctx, struct wp_tp tp, const char *why);
    /* The answer to wp_consumer_look; error is NULL when it went well. */
    void (*looked)(void *ctx, const struct wp_tp_look *list, size_t count, const char *error);
};

/* Connects in the background: a missing broker is no error here. stats->kafka, stats->lag are kept up to
 * date. */
enum wp_err wp_consumer_new(struct wp_consumer **ret_source, uv_loop_t *loop, const struct wp_config *config,
                            struct wp_stats *stats, const struct wp_consumer_handler *handler, void *ctx,
                            struct wp_error *error) WP_MUST_CHECK;
/* Joins the group. Before this no callback runs. */
enum wp_err wp_consumer_subscribe(struct wp_consumer *consumer, struct wp_error *error) WP_MUST_CHECK;

/* The cluster's id, NULL until it is known (it names partitions in Redis); blocks at most timeout_ms. Owned
 * by the consumer. */
const char *wp_consumer_cluster_id(struct wp_consumer *consumer, int timeout_ms);

/* Asks for commits and log ends without blocking the loop (uv_queue_work); answered by handler->looked. */
void wp_consumer_look(struct wp_consumer *consumer, const struct wp_tp *list, size_t count);
/* Seeks to offset (RD_KAFKA_OFFSET_BEGINNING too) and resumes. Also used to start again: what was prefetched
 * is dropped. */
enum wp_err wp_consumer_start(struct wp_consumer *consumer, struct wp_tp tp, int64_t offset,
                              struct wp_error *error) WP_MUST_CHECK;
/* Idempotent: the consumer keeps which partitions are paused (resuming one that is not replays its prefetch).
 */
void wp_consumer_pause(struct wp_consumer *consumer, struct wp_tp tp);
void wp_consumer_resume(struct wp_consumer *consumer, struct wp_tp tp);

/* Commits offset (the first one not finished). Asynchronous; a failure is logged, counted and repaired by the
 * next one. */
void wp_consumer_commit(struct wp_consumer *consumer, const struct wp_tp *list, const int64_t *offsets,
                        size_t count);
/* Synchronous, at most timeout_ms; for revocation and the end. */
enum wp_err wp_consumer_commit_now(struct wp_consumer *consumer, const struct wp_tp *list,
                                   const int64_t *offsets, size_t count, int timeout_ms,
                                   struct wp_error *error) WP_MUST_CHECK;

/* Leaves the group (revoked is called for what is still assigned) and closes. NULL is fine. The struct is
 * freed after the loop has closed its handles: run the loop once more. */
void wp_consumer_free(struct wp_consumer *consumer);

#endif
