/* The Kafka consumer, the group's side: assignment and revocation, where a partition starts, pause, resume,
 * commits. A partition is paused in librdkafka from its assignment to its first start; later pauses only stop
 * taking from its queue, see consumer.c. The loop's thread. */
#include <stdlib.h>
#include "kafka/consumer_private.h"
#include "core/log.h"

#define SEEK_TIMEOUT_MS 1000
#define RETRY_MS 10

rd_kafka_topic_partition_list_t *wp_consumer_list(const struct wp_consumer *consumer,
                                                  const struct wp_tp *list, const int64_t *offsets,
                                                  size_t count) {
    rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *item =
            rd_kafka_topic_partition_list_add(out, consumer->names[list[i].topic], list[i].partition);
        if (offsets) item->offset = offsets[i];
    }
    return out;
}

static bool cooperative(const struct wp_consumer *consumer) {
    return strcmp(rd_kafka_rebalance_protocol(consumer->rk), "COOPERATIVE") == 0;
}

static struct wp_tp *known_of(const struct wp_consumer *consumer, const rd_kafka_topic_partition_list_t *list,
                              size_t *ret_count) {
    struct wp_tp *known = wp_calloc((size_t)list->cnt + 1, sizeof(*known));
    size_t count = 0;
    for (int i = 0; i < list->cnt; i++) {
        enum wp_topic topic = wp_consumer_topic(consumer, list->elems[i].topic);
        if (topic != WP_TOPICS) known[count++] = (struct wp_tp){topic, list->elems[i].partition};
    }
    *ret_count = count;
    return known;
}

static void log_failure(const char *event, rd_kafka_error_t *failure) {
    if (!failure) return;
    wp_log(WP_LOG_WARN, event, "error=%s", rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
}

static rd_kafka_error_t *assign(struct wp_consumer *consumer, const rd_kafka_topic_partition_list_t *list) {
    if (cooperative(consumer)) return rd_kafka_incremental_assign(consumer->rk, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(consumer->rk, list);
    return err ? rd_kafka_error_new(err, "%s", rd_kafka_err2str(err)) : NULL;
}

static rd_kafka_error_t *unassign(struct wp_consumer *consumer, const rd_kafka_topic_partition_list_t *list) {
    if (cooperative(consumer)) return rd_kafka_incremental_unassign(consumer->rk, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(consumer->rk, NULL);
    return err ? rd_kafka_error_new(err, "%s", rd_kafka_err2str(err)) : NULL;
}

/* Paused before the assignment, so that nothing is fetched, and after it, in case the assignment lifted the
 * pause. The offset only keeps librdkafka from looking up the group's commits, and from failing when there
 * are none. */
static void assigned(struct wp_consumer *consumer, rd_kafka_topic_partition_list_t *list) {
    size_t count;
    struct wp_tp *known = known_of(consumer, list, &count);
    for (size_t i = 0; i < count; i++) {
        wp_consumer_part_remove(consumer, known[i]); /* left over only when a revocation was never told */
        wp_consumer_part_add(consumer, known[i]);
    }
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = 0;
    (void)rd_kafka_pause_partitions(consumer->rk, list);
    log_failure("kafka_assign_failed", assign(consumer, list));
    (void)rd_kafka_pause_partitions(consumer->rk, list);
    wp_log(WP_LOG_INFO, "kafka_assigned", "partitions=%zu owned=%zu", count, consumer->part_count);
    if (count > 0) consumer->handler->assigned(consumer->ctx, known, count);
    free(known);
}

static void revoked(struct wp_consumer *consumer, const rd_kafka_topic_partition_list_t *list) {
    size_t count;
    struct wp_tp *known = known_of(consumer, list, &count);
    bool lost = rd_kafka_assignment_lost(consumer->rk);
    wp_log(lost ? WP_LOG_WARN : WP_LOG_INFO, "kafka_revoked", "partitions=%zu lost=%d", count, lost);
    if (count > 0) consumer->handler->revoked(consumer->ctx, known, count, lost);
    for (size_t i = 0; i < count; i++) wp_consumer_part_remove(consumer, known[i]);
    log_failure("kafka_unassign_failed", unassign(consumer, list));
    free(known);
}

void wp_consumer_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                           void *opaque) {
    struct wp_consumer *consumer = opaque;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assigned(consumer, list);
    } else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        revoked(consumer, list);
    } else {
        wp_log(WP_LOG_WARN, "kafka_rebalance_failed", "error=%s", rd_kafka_err2str(err));
        (void)rd_kafka_assign(rk, NULL);
    }
}

/* ---- starting ---- */

static rd_kafka_topic_partition_list_t *list_of(const struct wp_consumer *consumer,
                                                const struct wp_part *part, int64_t offset) {
    return wp_consumer_list(consumer, &part->tp, &offset, 1);
}

/* Where the partition would go on if librdkafka forgot its prefetch. Held messages are ours and count as
 * taken. */
static int64_t position(const struct wp_part *part) {
    if (!part->fetching) return 0;
    return part->next >= 0 ? part->next : part->start;
}

/* librdkafka gives a partition up when its offset is out of range; a seek is refused then. Assigning it again
 * helps, and with the eager protocol only the whole assignment can be set: the others go on where they are.
 */
static void assign_again(struct wp_consumer *consumer, struct wp_part *part) {
    part->stopped = part->fetching = false;
    if (cooperative(consumer)) {
        rd_kafka_topic_partition_list_t *list = list_of(consumer, part, 0);
        log_failure("kafka_unassign_failed", rd_kafka_incremental_unassign(consumer->rk, list));
        log_failure("kafka_assign_failed", rd_kafka_incremental_assign(consumer->rk, list));
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->part_count);
    for (size_t i = 0; i < consumer->part_count; i++) {
        const struct wp_part *each = consumer->parts[i];
        const char *name = consumer->names[each->tp.topic];
        rd_kafka_topic_partition_list_add(list, name, each->tp.partition)->offset = position(each);
    }
    log_failure("kafka_assign_failed", assign(consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
}

/* False when librdkafka has not got so far with the assignment. */
static bool seek(struct wp_consumer *consumer, const struct wp_part *part) {
    rd_kafka_topic_partition_list_t *list = list_of(consumer, part, part->start);
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(consumer->rk, list, SEEK_TIMEOUT_MS);
    bool done = !failure && !list->elems[0].err;
    if (!done)
        wp_log(WP_LOG_DEBUG, "kafka_seek_refused", "topic=%s partition=%d error=%s", list->elems[0].topic,
               part->tp.partition,
               failure ? rd_kafka_error_string(failure) : rd_kafka_err2str(list->elems[0].err));
    if (failure) rd_kafka_error_destroy(failure);
    rd_kafka_topic_partition_list_destroy(list);
    return done;
}

/* Resuming what is not paused would replay its prefetch, so the first start pauses once more to be certain.
 */
static void begin(struct wp_consumer *consumer, struct wp_part *part) {
    wp_consumer_set_state(part, WP_PART_STARTING);
    if (part->stopped) assign_again(consumer, part);
    rd_kafka_topic_partition_list_t *list = list_of(consumer, part, 0);
    if (!part->fetching) (void)rd_kafka_pause_partitions(consumer->rk, list);
    bool done = seek(consumer, part);
    if (done && !part->fetching) (void)rd_kafka_resume_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!done) {
        uv_timer_start(&consumer->retry, wp_consumer_retry, RETRY_MS, 0);
        return;
    }
    part->fetching = true;
    wp_consumer_set_state(part, WP_PART_RUNNING);
    wp_consumer_wake(consumer);
}

void wp_consumer_retry(uv_timer_t *timer) {
    struct wp_consumer *consumer = timer->data;
    for (size_t i = 0; i < consumer->part_count; i++) {
        if (consumer->parts[i]->state == WP_PART_STARTING) begin(consumer, consumer->parts[i]);
    }
}

static enum wp_err not_ours(const struct wp_consumer *consumer, struct wp_tp tp, struct wp_error *error) {
    return wp_fail(error, WP_ERR_NOT_FOUND, "Partition %d of %s is not assigned to this worker.",
                   tp.partition, consumer->names[tp.topic]);
}

enum wp_err wp_consumer_start(struct wp_consumer *consumer, struct wp_tp tp, int64_t offset,
                              struct wp_error *error) {
    struct wp_part *part = wp_consumer_part(consumer, tp);
    if (!part) return not_ours(consumer, tp, error);
    wp_consumer_drop_held(part);
    part->starts++;
    part->paused = false;
    part->start = offset;
    part->next = -1;
    begin(consumer, part);
    return WP_OK;
}

void wp_consumer_pause(struct wp_consumer *consumer, struct wp_tp tp) {
    struct wp_part *part = wp_consumer_part(consumer, tp);
    if (part) part->paused = true;
}

void wp_consumer_resume(struct wp_consumer *consumer, struct wp_tp tp) {
    struct wp_part *part = wp_consumer_part(consumer, tp);
    if (!part || !part->paused) return;
    part->paused = false;
    wp_consumer_wake(consumer);
}

/* ---- commits ---- */

void wp_consumer_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                           void *opaque) {
    (void)rk;
    (void)opaque;
    for (int i = 0; !err && i < list->cnt; i++) err = list->elems[i].err;
    if (!err || err == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
    wp_log(WP_LOG_WARN, "kafka_commit_failed", "error=%s", rd_kafka_err2str(err));
}

void wp_consumer_commit(struct wp_consumer *consumer, const struct wp_tp *list, const int64_t *offsets,
                        size_t count) {
    rd_kafka_topic_partition_list_t *commits = wp_consumer_list(consumer, list, offsets, count);
    rd_kafka_resp_err_t err = rd_kafka_commit(consumer->rk, commits, 1);
    if (err) wp_log(WP_LOG_WARN, "kafka_commit_failed", "error=%s", rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(commits);
}

struct answer {
    bool came;
    rd_kafka_resp_err_t err;
};

static void answered(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                     void *opaque) {
    (void)rk;
    struct answer *answer = opaque;
    for (int i = 0; !err && i < list->cnt; i++) err = list->elems[i].err;
    answer->came = true;
    answer->err = err;
}

enum wp_err wp_consumer_commit_now(struct wp_consumer *consumer, const struct wp_tp *list,
                                   const int64_t *offsets, size_t count, int timeout_ms,
                                   struct wp_error *error) {
    struct answer answer = {false, RD_KAFKA_RESP_ERR__TIMED_OUT};
    rd_kafka_queue_t *queue =
        rd_kafka_queue_new(consumer->rk); /* of its own: the answer of this commit and nothing else */
    rd_kafka_topic_partition_list_t *commits = wp_consumer_list(consumer, list, offsets, count);
    rd_kafka_resp_err_t err = rd_kafka_commit_queue(consumer->rk, commits, queue, answered, &answer);
    rd_kafka_topic_partition_list_destroy(commits);
    if (!err) {
        rd_kafka_queue_poll_callback(queue, timeout_ms);
        err = answer.err;
    }
    rd_kafka_queue_destroy(queue); /* a later answer is dropped with it */
    if (!err) return WP_OK;
    return wp_fail(error, WP_ERR_KAFKA, "Kafka did not take the commit within %d ms: %s", timeout_ms,
                   rd_kafka_err2str(err));
}
