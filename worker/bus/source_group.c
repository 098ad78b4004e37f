/* The Kafka source, the group's side: assignment and revocation, where a partition starts, pause, resume,
 * commits. A partition is paused in librdkafka from its assignment to its first start; later pauses only stop
 * taking from its queue, see source.c. The loop's thread. */
#include <stdlib.h>
#include "bus/source_private.h"
#include "core/log.h"

#define SEEK_TIMEOUT_MS 1000
#define RETRY_MS 10

rd_kafka_topic_partition_list_t *wp_source_list(const struct wp_source *source, const struct wp_tp *list,
                                                const int64_t *offsets, size_t count) {
    rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *item =
            rd_kafka_topic_partition_list_add(out, source->names[list[i].topic], list[i].partition);
        if (offsets) item->offset = offsets[i];
    }
    return out;
}

static bool cooperative(const struct wp_source *source) {
    return strcmp(rd_kafka_rebalance_protocol(source->rk), "COOPERATIVE") == 0;
}

static struct wp_tp *known_of(const struct wp_source *source, const rd_kafka_topic_partition_list_t *list,
                              size_t *ret_count) {
    struct wp_tp *known = wp_calloc((size_t)list->cnt + 1, sizeof(*known));
    size_t count = 0;
    for (int i = 0; i < list->cnt; i++) {
        enum wp_topic topic = wp_source_topic(source, list->elems[i].topic);
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

static rd_kafka_error_t *assign(struct wp_source *source, const rd_kafka_topic_partition_list_t *list) {
    if (cooperative(source)) return rd_kafka_incremental_assign(source->rk, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(source->rk, list);
    return err ? rd_kafka_error_new(err, "%s", rd_kafka_err2str(err)) : NULL;
}

static rd_kafka_error_t *unassign(struct wp_source *source, const rd_kafka_topic_partition_list_t *list) {
    if (cooperative(source)) return rd_kafka_incremental_unassign(source->rk, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(source->rk, NULL);
    return err ? rd_kafka_error_new(err, "%s", rd_kafka_err2str(err)) : NULL;
}

/* Paused before the assignment, so that nothing is fetched, and after it, in case the assignment lifted the
 * pause. The offset only keeps librdkafka from looking up the group's commits, and from failing when there
 * are none. */
static void assigned(struct wp_source *source, rd_kafka_topic_partition_list_t *list) {
    size_t count;
    struct wp_tp *known = known_of(source, list, &count);
    for (size_t i = 0; i < count; i++) {
        wp_source_part_remove(source, known[i]); /* left over only when a revocation was never told */
        wp_source_part_add(source, known[i]);
    }
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = 0;
    (void)rd_kafka_pause_partitions(source->rk, list);
    log_failure("kafka_assign_failed", assign(source, list));
    (void)rd_kafka_pause_partitions(source->rk, list);
    wp_log(WP_LOG_INFO, "kafka_assigned", "partitions=%zu owned=%zu", count, source->part_count);
    if (count > 0) source->handler->assigned(source->ctx, known, count);
    free(known);
}

static void revoked(struct wp_source *source, const rd_kafka_topic_partition_list_t *list) {
    size_t count;
    struct wp_tp *known = known_of(source, list, &count);
    bool lost = rd_kafka_assignment_lost(source->rk);
    wp_log(lost ? WP_LOG_WARN : WP_LOG_INFO, "kafka_revoked", "partitions=%zu lost=%d", count, lost);
    if (count > 0) source->handler->revoked(source->ctx, known, count, lost);
    for (size_t i = 0; i < count; i++) wp_source_part_remove(source, known[i]);
    log_failure("kafka_unassign_failed", unassign(source, list));
    free(known);
}

void wp_source_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
    struct wp_source *source = opaque;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assigned(source, list);
    } else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        revoked(source, list);
    } else {
        wp_log(WP_LOG_WARN, "kafka_rebalance_failed", "error=%s", rd_kafka_err2str(err));
        (void)rd_kafka_assign(rk, NULL);
    }
}

/* ---- starting ---- */

static rd_kafka_topic_partition_list_t *list_of(const struct wp_source *source, const struct wp_part *part,
                                                int64_t offset) {
    return wp_source_list(source, &part->tp, &offset, 1);
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
static void assign_again(struct wp_source *source, struct wp_part *part) {
    part->stopped = part->fetching = false;
    if (cooperative(source)) {
        rd_kafka_topic_partition_list_t *list = list_of(source, part, 0);
        log_failure("kafka_unassign_failed", rd_kafka_incremental_unassign(source->rk, list));
        log_failure("kafka_assign_failed", rd_kafka_incremental_assign(source->rk, list));
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)source->part_count);
    for (size_t i = 0; i < source->part_count; i++) {
        const struct wp_part *each = source->parts[i];
        const char *name = source->names[each->tp.topic];
        rd_kafka_topic_partition_list_add(list, name, each->tp.partition)->offset = position(each);
    }
    log_failure("kafka_assign_failed", assign(source, list));
    rd_kafka_topic_partition_list_destroy(list);
}

/* False when librdkafka has not got so far with the assignment. */
static bool seek(struct wp_source *source, const struct wp_part *part) {
    rd_kafka_topic_partition_list_t *list = list_of(source, part, part->start);
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(source->rk, list, SEEK_TIMEOUT_MS);
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
static void begin(struct wp_source *source, struct wp_part *part) {
    wp_source_set_state(part, WP_PART_STARTING);
    if (part->stopped) assign_again(source, part);
    rd_kafka_topic_partition_list_t *list = list_of(source, part, 0);
    if (!part->fetching) (void)rd_kafka_pause_partitions(source->rk, list);
    bool done = seek(source, part);
    if (done && !part->fetching) (void)rd_kafka_resume_partitions(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!done) {
        uv_timer_start(&source->retry, wp_source_retry, RETRY_MS, 0);
        return;
    }
    part->fetching = true;
    wp_source_set_state(part, WP_PART_RUNNING);
    wp_source_wake(source);
}

void wp_source_retry(uv_timer_t *timer) {
    struct wp_source *source = timer->data;
    for (size_t i = 0; i < source->part_count; i++) {
        if (source->parts[i]->state == WP_PART_STARTING) begin(source, source->parts[i]);
    }
}

static enum wp_err not_ours(const struct wp_source *source, struct wp_tp tp, struct wp_error *error) {
    return wp_fail(error, WP_ERR_NOT_FOUND, "Partition %d of %s is not assigned to this worker.",
                   tp.partition, source->names[tp.topic]);
}

enum wp_err wp_source_start(struct wp_source *source, struct wp_tp tp, int64_t offset,
                            struct wp_error *error) {
    struct wp_part *part = wp_source_part(source, tp);
    if (!part) return not_ours(source, tp, error);
    wp_source_drop_held(part);
    part->starts++;
    part->paused = false;
    part->start = offset;
    part->next = -1;
    begin(source, part);
    return WP_OK;
}

void wp_source_pause(struct wp_source *source, struct wp_tp tp) {
    struct wp_part *part = wp_source_part(source, tp);
    if (part) part->paused = true;
}

void wp_source_resume(struct wp_source *source, struct wp_tp tp) {
    struct wp_part *part = wp_source_part(source, tp);
    if (!part || !part->paused) return;
    part->paused = false;
    wp_source_wake(source);
}

/* ---- commits ---- */

void wp_source_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
    (void)rk;
    (void)opaque;
    for (int i = 0; !err && i < list->cnt; i++) err = list->elems[i].err;
    if (!err || err == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
    wp_log(WP_LOG_WARN, "kafka_commit_failed", "error=%s", rd_kafka_err2str(err));
}

void wp_source_commit(struct wp_source *source, const struct wp_tp *list, const int64_t *offsets,
                      size_t count) {
    rd_kafka_topic_partition_list_t *commits = wp_source_list(source, list, offsets, count);
    rd_kafka_resp_err_t err = rd_kafka_commit(source->rk, commits, 1);
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

enum wp_err wp_source_commit_now(struct wp_source *source, const struct wp_tp *list, const int64_t *offsets,
                                 size_t count, int timeout_ms, struct wp_error *error) {
    struct answer answer = {false, RD_KAFKA_RESP_ERR__TIMED_OUT};
    rd_kafka_queue_t *queue =
        rd_kafka_queue_new(source->rk); /* of its own: the answer of this commit and nothing else */
    rd_kafka_topic_partition_list_t *commits = wp_source_list(source, list, offsets, count);
    rd_kafka_resp_err_t err = rd_kafka_commit_queue(source->rk, commits, queue, answered, &answer);
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
