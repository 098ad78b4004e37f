/* The Kafka consumer of the input topics, with manual offsets, starts, pauses and resumes. Its user decides
 * what to read and where to begin; the consumer knows nothing of Redis. One thread: the loop's. librdkafka's
 * queues wake the loop (wakeup.h), and batches are taken without waiting: no call blocks.
 *
 * A partition's life: assigned (nothing is fetched) -> wp_consumer_query_offsets -> wp_consumer_start (seek,
 * resume) -> records, pause and resume -> revoked. There is one object for it: the user's, which begins with
 * a struct wp_consumer_partition. Late answers about a revoked partition are dropped by the consumer. */
#ifndef WP_KAFKA_CONSUMER_H
#define WP_KAFKA_CONSUMER_H
#include <uv.h>
#include "kafka/partitions.h"
#include "core/stats.h"

struct wp_consumer;

/* All are called on the loop's thread, none before wp_consumer_subscribe or after wp_consumer_free. */
struct wp_consumer_handler {
    /* Returns the user's object for a partition that was just assigned, allocated by it, never NULL; the
     * consumer sets all fields of the base and uses it until `revoked`. Nothing is fetched before
     * wp_consumer_start. */
    struct wp_consumer_partition *(*assigned)(void *ctx, enum wp_topic topic, int32_t number);
    /* After `assigned` was called for every partition of an assignment, and after `revoked`. */
    void (*rebalanced)(void *ctx);
    /* The partitions are taken away: the consumer has forgotten them, the user frees them when it likes.
     * Inside this call, unless they are lost (another worker may have them already), wp_consumer_commit still
     * works. */
    void (*revoked)(void *ctx, struct wp_consumer_partition *const *list, size_t count, bool lost);
    /* Takes ownership of the record (wp_record_in_free). Never called for a partition that is paused or not
     * started. */
    void (*record)(void *ctx, struct wp_consumer_partition *p, struct wp_record_in *record);
    /* All records of the log were handed over, and p->position is now beyond the last one, because control
     * records or aborted transactions follow it. Called once each time that such an end is reached. */
    void (*end_reached)(void *ctx, struct wp_consumer_partition *p);
    /* All records of one wake-up were handed over: the user sends its calls now. */
    void (*batch_end)(void *ctx);
    /* The offset that the partition was started at does not exist (rule 6). */
    void (*out_of_range)(void *ctx, struct wp_consumer_partition *p, const char *why);
    /* The answer to wp_consumer_query_offsets for one partition, in p->committed, low and high; error is
     * NULL, or says why the query failed for this partition; the fields are unchanged then. */
    void (*offsets)(void *ctx, struct wp_consumer_partition *p, const char *error);
};

/* Connects in the background: a missing broker is no error here. stats->kafka, stats->lag are kept up to
 * date. */
enum wp_err wp_consumer_new(struct wp_consumer **ret_consumer, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats,
                            const struct wp_consumer_handler *handler, void *ctx,
                            struct wp_error *error) WP_MUST_CHECK;
/* Joins the group. */
enum wp_err wp_consumer_subscribe(struct wp_consumer *consumer, struct wp_error *error) WP_MUST_CHECK;

/* True when Kafka has fenced this consumer (another member joined with its worker.id) and the group has no
 * member of that id any more: this one can do nothing, and a new one may take its place. */
bool wp_consumer_can_be_replaced(const struct wp_consumer *consumer);

/* The cluster's id (it names partitions in Redis). NULL until the first answer to an offset query without an
 * error. Owned by the consumer. */
const char *wp_consumer_cluster_id(const struct wp_consumer *consumer);

/* Asks for commits and log ends off the loop; answered by handler->offsets, once for each partition. */
void wp_consumer_query_offsets(struct wp_consumer *consumer, struct wp_consumer_partition *const *list,
                               size_t count);
/* Seeks to offset (RD_KAFKA_OFFSET_BEGINNING too) and resumes. Also starts a running partition
 * again, dropping what was prefetched. Tried until it succeeds, the partition is revoked, or `out_of_range`
 * is called because there is no such offset. Does nothing inside `revoked`: a partition may be taken away
 * between the decision where it begins and the start. */
void wp_consumer_start(struct wp_consumer *consumer, struct wp_consumer_partition *p, int64_t offset);
/* Idempotent. */
void wp_consumer_pause(struct wp_consumer *consumer, struct wp_consumer_partition *p);
void wp_consumer_resume(struct wp_consumer *consumer, struct wp_consumer_partition *p);

struct wp_commit {
    struct wp_consumer_partition *partition;
    int64_t offset; /* of the first event that is not done */
};

/* Asynchronous: p->committing is true until the answer comes. p->committed is the offset then, unless the
 * commit failed: a failure is logged, and the user tries again. Commits go out in the order of the calls;
 * those made inside `revoked` go out before the partitions are given back. */
void wp_consumer_commit(struct wp_consumer *consumer, const struct wp_commit *list, size_t count);

/* Takes no further record and adopts no further partition; those that are assigned can still commit. */
void wp_consumer_stop(struct wp_consumer *consumer);
/* Leaves the group without blocking (`revoked` is called for what is still assigned), then calls `closed`. A
 * broker that does not answer can make that take long: wp_consumer_free may be called at any time. */
void wp_consumer_close(struct wp_consumer *consumer, void (*closed)(void *ctx), void *ctx);
/* Ends at once; `revoked` (lost) is called for what is still assigned. NULL is fine. The struct is freed
 * after the loop has closed its handles and the client is gone: run the loop until then. */
void wp_consumer_free(struct wp_consumer *consumer);

#endif
