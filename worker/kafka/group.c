/* Assignment, starts and commits. A partition is paused in librdkafka from its assignment to its first start;
 * later pauses only stop taking from its queue (consumer.c). */
#include "kafka/group.h"
#include <stdlib.h>
#include "core/log.h"
#include "kafka/health.h"

#define SEEK_TIMEOUT_MS 1000
#define RETRY_MS 10

void wp_group_init(struct wp_group *group, const struct wp_config *config, struct wp_client *client,
                   struct wp_partitions *table, const struct wp_group_user *user, void *ctx,
                   const struct wp_wakeup *wakeup) {
    *group = (struct wp_group){
        .config = config, .client = client, .table = table, .user = user, .ctx = ctx, .wakeup = wakeup};
    uv_timer_init(client->loop, &group->retry);
    group->retry.data = group;
}

/* ---- assignment and revocation ---- */

static bool cooperative(const struct wp_group *group) {
    return strcmp(rd_kafka_rebalance_protocol(group->client->rk), "COOPERATIVE") == 0;
}

static void log_failure(const char *event, rd_kafka_error_t *failure) {
    if (!failure) return;
    wp_log(WP_LOG_WARN, event, "error=%s", rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
}

static rd_kafka_error_t *assign(struct wp_group *group, const rd_kafka_topic_partition_list_t *list) {
    if (cooperative(group)) return rd_kafka_incremental_assign(group->client->rk, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(group->client->rk, list);
    return err ? rd_kafka_error_new(err, "%s", rd_kafka_err2str(err)) : NULL;
}

static rd_kafka_error_t *unassign(struct wp_group *group, const rd_kafka_topic_partition_list_t *list) {
    if (cooperative(group)) return rd_kafka_incremental_unassign(group->client->rk, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(group->client->rk, NULL);
    return err ? rd_kafka_error_new(err, "%s", rd_kafka_err2str(err)) : NULL;
}

static void take_away(struct wp_group *group, struct wp_consumer_partition *const *list, size_t count,
                      bool lost) {
    for (size_t i = 0; i < count; i++) wp_partitions_remove(group->table, list[i]);
    if (count > 0) group->user->revoked(group->ctx, list, count, lost);
}

static void give(struct wp_group *group, enum wp_topic topic, int32_t number) {
    struct wp_consumer_partition *p = wp_partitions_find(group->table, topic, number);
    if (p) take_away(group, &p, 1, true); /* the revoke callback was missed */
    wp_partitions_add(group->table, group->user->assigned(group->ctx, topic, number), topic, number,
                      group->wakeup);
}

/* Pauses before the assignment, so that nothing is fetched, and again after it, in case the assignment lifted
 * the pause. The offset 0 only keeps librdkafka from looking up the group's commits, and from failing when
 * there are none: wp_group_start seeks to the real one. */
static void on_assign(struct wp_group *group, rd_kafka_topic_partition_list_t *list) {
    for (int i = 0; i < list->cnt; i++) {
        enum wp_topic topic = wp_partitions_topic(group->table, list->elems[i].topic);
        if (topic != WP_TOPICS) give(group, topic, list->elems[i].partition);
        list->elems[i].offset = 0;
    }
    (void)rd_kafka_pause_partitions(group->client->rk, list);
    log_failure("kafka_assign_failed", assign(group, list));
    (void)rd_kafka_pause_partitions(group->client->rk, list);
    wp_log(WP_LOG_INFO, "kafka_assigned", "partitions=%d owned=%zu", list->cnt, group->table->count);
    group->user->rebalanced(group->ctx, true);
}

static void on_revoke(struct wp_group *group, const rd_kafka_topic_partition_list_t *list) {
    bool lost = rd_kafka_assignment_lost(group->client->rk);
    struct wp_consumer_partition **known = wp_calloc((size_t)list->cnt + 1, sizeof *known);
    size_t count = 0;
    for (int i = 0; i < list->cnt; i++) {
        enum wp_topic topic = wp_partitions_topic(group->table, list->elems[i].topic);
        struct wp_consumer_partition *p =
            topic == WP_TOPICS ? NULL : wp_partitions_find(group->table, topic, list->elems[i].partition);
        if (p) known[count++] = p;
    }
    wp_log(lost ? WP_LOG_WARN : WP_LOG_INFO, "kafka_revoked", "partitions=%zu lost=%d", count, lost);
    take_away(group, known, count, lost);
    log_failure("kafka_unassign_failed", unassign(group, list));
    free(known);
    group->user->rebalanced(group->ctx, false);
}

void wp_group_rebalance(struct wp_group *group, rd_kafka_resp_err_t err,
                        rd_kafka_topic_partition_list_t *list) {
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !group->closing) {
        on_assign(group, list);
    } else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        on_revoke(group, list);
    } else if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) { /* stopping: another worker will have them */
        rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(1);
        log_failure("kafka_assign_failed", assign(group, nothing));
        rd_kafka_topic_partition_list_destroy(nothing);
    } else {
        wp_log(WP_LOG_WARN, "kafka_rebalance_failed", "error=%s", rd_kafka_err2str(err));
        (void)rd_kafka_assign(group->client->rk, NULL);
    }
}

void wp_group_abandon(struct wp_group *group) {
    struct wp_partitions *table = group->table;
    size_t count = table->count;
    if (count == 0) return;
    struct wp_consumer_partition **all = wp_calloc(count, sizeof *all);
    memcpy(all, table->list, count * sizeof *all);
    take_away(group, all, count, true);
    free(all);
}

/* ---- starting ---- */

struct seek {
    struct wp_client_work work;
    struct wp_group *group;
    rd_kafka_topic_partition_list_t *list;
    struct { /* of each partition in the list, as it was when the seek began */
        struct wp_consumer_partition *p;
        uint64_t assignment, starts;
    } * about;
    rd_kafka_error_t *failure;
};

static void start_all(struct wp_group *group);

/* The offset to fetch from after librdkafka has dropped its prefetch. Held records were taken already. */
static int64_t fetch_position(const struct wp_consumer_partition *p) {
    if (!p->fetching) return 0;
    if (p->held_count > 0) return p->held[p->held_count - 1].offset + 1;
    return p->position >= 0 ? p->position : p->start;
}

/* After an offset out of range librdkafka stops the partition and refuses seeks; only a new assignment makes
 * it fetch again. The eager protocol can only set the whole assignment: the other partitions go on where they
 * are.
 */
static void assign_again(struct wp_group *group, struct wp_consumer_partition *p) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    p->stopped = p->fetching = false;
    if (cooperative(group)) {
        wp_partitions_list_add(group->table, list, p, 0);
        log_failure("kafka_unassign_failed", rd_kafka_incremental_unassign(group->client->rk, list));
        log_failure("kafka_assign_failed", rd_kafka_incremental_assign(group->client->rk, list));
    } else {
        for (size_t i = 0; i < group->table->count; i++)
            wp_partitions_list_add(group->table, list, group->table->list[i],
                                   fetch_position(group->table->list[i]));
        log_failure("kafka_assign_failed", assign(group, list));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void seek_run(struct wp_client_work *work) {
    struct seek *seek = (struct seek *)work;
    seek->failure = rd_kafka_seek_partitions(work->client->rk, seek->list, SEEK_TIMEOUT_MS);
}

static void sought(struct wp_group *group, struct wp_consumer_partition *p,
                   const rd_kafka_topic_partition_t *item) {
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(one, item->topic, item->partition);
    if (!p->fetching) (void)rd_kafka_resume_partitions(group->client->rk, one);
    rd_kafka_topic_partition_list_destroy(one);
    p->fetching = true;
    wp_partition_set_state(p, WP_PARTITION_RUNNING);
}

static void on_retry(uv_timer_t *timer) {
    start_all(timer->data);
}

/* A partition that was started again meanwhile, or whose seek librdkafka refused, needs another seek. */
static void seek_done(struct wp_client_work *work, bool wanted) {
    struct seek *seek = (struct seek *)work;
    struct wp_group *group = seek->group;
    bool refused = false;
    group->seeking = false;
    for (int i = 0; wanted && i < seek->list->cnt; i++) {
        struct wp_consumer_partition *p = seek->about[i].p;
        const rd_kafka_topic_partition_t *item = &seek->list->elems[i];
        if (!wp_partitions_has(group->table, p, seek->about[i].assignment)) continue;
        if (p->starts != seek->about[i].starts) continue;
        if (!seek->failure && !item->err) {
            sought(group, p, item);
            continue;
        }
        refused = true;
        wp_log(WP_LOG_DEBUG, "kafka_seek_refused", "topic=%s partition=%d error=%s", item->topic, p->number,
               seek->failure ? rd_kafka_error_string(seek->failure) : rd_kafka_err2str(item->err));
    }
    if (seek->failure) rd_kafka_error_destroy(seek->failure);
    rd_kafka_topic_partition_list_destroy(seek->list);
    free(seek->about);
    free(seek);
    if (!wanted) return;
    if (refused)
        uv_timer_start(&group->retry, on_retry, RETRY_MS, 0);
    else
        start_all(group);
    group->user->started(group->ctx);
}

/* One seek for all partitions that wait for one. Resuming a partition that is not paused would replay its
 * prefetch, so a first start pauses once more to be certain. */
static void start_all(struct wp_group *group) {
    if (group->seeking || group->client->closing) return;
    struct seek *seek = wp_calloc(1, sizeof *seek);
    rd_kafka_topic_partition_list_t *fresh = rd_kafka_topic_partition_list_new(1);
    seek->list = rd_kafka_topic_partition_list_new(1);
    seek->about = wp_calloc(group->table->count + 1, sizeof *seek->about);
    for (size_t i = 0; i < group->table->count; i++) {
        struct wp_consumer_partition *p = group->table->list[i];
        if (p->state != WP_PARTITION_STARTING) continue;
        if (p->stopped) assign_again(group, p);
        if (!p->fetching) wp_partitions_list_add(group->table, fresh, p, 0);
        seek->about[seek->list->cnt].p = p;
        seek->about[seek->list->cnt].assignment = p->assignment;
        seek->about[seek->list->cnt].starts = p->starts;
        wp_partitions_list_add(group->table, seek->list, p, p->start);
    }
    if (fresh->cnt > 0) (void)rd_kafka_pause_partitions(group->client->rk, fresh);
    rd_kafka_topic_partition_list_destroy(fresh);
    if (seek->list->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(seek->list);
        free(seek->about);
        free(seek);
        return;
    }
    seek->group = group;
    seek->work.run = seek_run;
    seek->work.done = seek_done;
    group->seeking = true;
    wp_client_run(group->client, &seek->work);
}

void wp_group_start(struct wp_group *group, struct wp_consumer_partition *p, int64_t offset) {
    if (p->state == WP_PARTITION_REVOKED) return;
    wp_partition_drop_held(p);
    p->starts++;
    p->paused = false;
    p->start = offset;
    p->position = offset >= 0 ? offset : -1;
    wp_partition_set_state(p, WP_PARTITION_STARTING);
    start_all(group);
}

/* ---- commits ---- */

/* sure: err is certainly this partition's own. */
static void note_commit(struct wp_group *group, const rd_kafka_topic_partition_t *item,
                        rd_kafka_resp_err_t err, bool sure) {
    enum wp_topic topic = wp_partitions_topic(group->table, item->topic);
    struct wp_consumer_partition *p =
        topic == WP_TOPICS ? NULL : wp_partitions_find(group->table, topic, item->partition);
    if (!p || (uintptr_t)p->assignment != (uintptr_t)item->opaque) return;
    p->committing = false;
    if (sure && wp_kafka_fault(err) == WP_FAULT_REFUSED)
        wp_kafka_explain(p->trouble, sizeof(p->trouble), err, group->config, item->topic);
    if (err) return;
    p->committed = item->offset;
    p->trouble[0] = '\0';
}

void wp_group_committed(struct wp_group *group, rd_kafka_resp_err_t err,
                        const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t first = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; list && i < list->cnt && !first; i++) first = list->elems[i].err;
    bool each_has_its_own = first != RD_KAFKA_RESP_ERR_NO_ERROR; /* then err is only the last of them */
    if (!first) first = err;
    for (int i = 0; list && i < list->cnt; i++)
        note_commit(group, &list->elems[i], each_has_its_own ? list->elems[i].err : err,
                    each_has_its_own || list->cnt == 1);
    if (first && first != group->commit_error)
        wp_log(WP_LOG_WARN, "kafka_commit_failed", "error=%s", rd_kafka_err2str(first));
    group->commit_error = first;
}

static void commit(struct wp_group *group, const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t err = rd_kafka_commit(group->client->rk, list, 1);
    if (err) wp_group_committed(group, err, list);
}

/* librdkafka does not always say which partition of a commit was refused. After a failure each partition gets
 * a commit of its own, so that one does not keep the others from theirs. */
void wp_group_commit(struct wp_group *group, rd_kafka_topic_partition_list_t *list) {
    bool alone = group->commit_error != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!alone) commit(group, list);
    for (int i = 0; alone && i < list->cnt; i++) {
        rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_t *item =
            rd_kafka_topic_partition_list_add(one, list->elems[i].topic, list->elems[i].partition);
        item->offset = list->elems[i].offset;
        item->opaque = list->elems[i].opaque;
        commit(group, one);
        rd_kafka_topic_partition_list_destroy(one);
    }
    rd_kafka_topic_partition_list_destroy(list);
}
