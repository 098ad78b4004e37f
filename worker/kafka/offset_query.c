/* Commits and log ends of partitions. An error of one partition does not concern the others: one without a
 * leader fails at once, and a broker that does not answer in time is not asked again in the same query. */
#include "kafka/offset_query.h"
#include <stdio.h>
#include <stdlib.h>
#include "core/buf.h"
#include "core/err.h"
#include "kafka/health.h"

#define COMMITS_TIMEOUT_MS 5000
#define ENDS_TIMEOUT_MS 2000
#define REASON_MAX 200

struct asked_partition { /* one partition */
    struct wp_consumer_partition *p;
    uint64_t assignment;
    int32_t leader;
    int64_t committed, low, high;
    char error[REASON_MAX]; /* empty: it went well */
};

struct query {
    struct wp_client_work work;
    struct wp_offset_queries *queries;
    rd_kafka_topic_partition_list_t *list; /* in the order of `asked` */
    struct asked_partition *asked;
    char *cluster_id;
};

/* ---- in the thread pool ---- */

static void fail(const struct query *query, int i, rd_kafka_resp_err_t err) {
    struct asked_partition *asked = &query->asked[i];
    wp_kafka_explain(asked->error, sizeof(asked->error), err, query->queries->config,
                     query->list->elems[i].topic);
}

static void fail_all(struct query *query, const char *what, rd_kafka_resp_err_t err) {
    for (int i = 0; i < query->list->cnt; i++)
        (void)snprintf(query->asked[i].error, sizeof(query->asked[i].error), "%s: %s", what,
                       rd_kafka_err2str(err));
}

static void note_leader(struct query *query, const rd_kafka_metadata_topic_t *topic) {
    for (int i = 0; i < query->list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &query->list->elems[i];
        struct asked_partition *asked = &query->asked[i];
        if (strcmp(item->topic, topic->topic) != 0) continue;
        if (topic->err) fail(query, i, topic->err);
        for (int n = 0; n < topic->partition_cnt; n++) {
            const rd_kafka_metadata_partition_t *partition = &topic->partitions[n];
            if (partition->id != item->partition) continue;
            asked->leader = partition->leader;
            if (partition->leader < 0)
                fail(query, i, partition->err ? partition->err : RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
        }
    }
}

static bool find_leaders(struct query *query, rd_kafka_t *rk) {
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, NULL, &metadata, COMMITS_TIMEOUT_MS);
    if (err) {
        fail_all(query, "the leaders of partitions", err);
        return false;
    }
    for (int i = 0; i < metadata->topic_cnt; i++) note_leader(query, &metadata->topics[i]);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

static bool find_commits(struct query *query, rd_kafka_t *rk) {
    rd_kafka_resp_err_t err = rd_kafka_committed(rk, query->list, COMMITS_TIMEOUT_MS);
    if (err) {
        if (wp_kafka_fault(err) == WP_FAULT_REFUSED)
            for (int i = 0; i < query->list->cnt; i++) fail(query, i, err);
        else
            fail_all(query, "the group's commits", err);
        return false;
    }
    for (int i = 0; i < query->list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &query->list->elems[i];
        query->asked[i].committed = item->offset >= 0 ? item->offset : -1;
        if (item->err) fail(query, i, item->err);
    }
    return true;
}

static void find_ends(struct query *query, rd_kafka_t *rk) {
    int count = query->list->cnt;
    for (int i = 0; i < count; i++) {
        struct asked_partition *asked = &query->asked[i];
        const rd_kafka_topic_partition_t *item = &query->list->elems[i];
        if (*asked->error) continue;
        rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
            rk, item->topic, item->partition, &asked->low, &asked->high, ENDS_TIMEOUT_MS);
        if (!err) continue;
        fail(query, i, err);
        if (err != RD_KAFKA_RESP_ERR__TIMED_OUT) continue;
        for (int other = i + 1; other < count; other++)
            if (query->asked[other].leader == asked->leader && !*query->asked[other].error)
                fail(query, other, err);
    }
}

static void query_run(struct wp_client_work *work) {
    struct query *query = (struct query *)work;
    rd_kafka_t *rk = work->client->rk;
    if (!find_leaders(query, rk)) return;
    query->cluster_id = rd_kafka_clusterid(rk, 0);
    if (find_commits(query, rk)) find_ends(query, rk);
}

/* ---- on the loop ---- */

static void tell(struct wp_offset_queries *queries, const struct asked_partition *asked) {
    struct wp_consumer_partition *p = asked->p;
    if (!wp_partitions_has(queries->table, p, asked->assignment)) return;
    if (!*asked->error) {
        p->committed = asked->committed;
        p->low = asked->low;
        p->high = asked->high;
    }
    (void)snprintf(p->trouble, sizeof(p->trouble), "%s", asked->error);
    queries->answer(queries->ctx, p, *asked->error ? asked->error : NULL);
}

static void query_done(struct wp_client_work *work, bool wanted) {
    struct query *query = (struct query *)work;
    struct wp_offset_queries *queries = query->queries;
    if (queries->cluster_id || !wanted) {
        if (query->cluster_id) rd_kafka_mem_free(NULL, query->cluster_id);
    } else {
        queries->cluster_id = query->cluster_id;
    }
    for (int i = 0; wanted && i < query->list->cnt; i++) tell(queries, &query->asked[i]);
    rd_kafka_topic_partition_list_destroy(query->list);
    free(query->asked);
    free(query);
}

void wp_offset_query(struct wp_offset_queries *queries, struct wp_consumer_partition *const *list,
                     size_t count) {
    if (queries->client->closing || count == 0) return;
    struct query *query = wp_calloc(1, sizeof *query);
    query->queries = queries;
    query->list = rd_kafka_topic_partition_list_new((int)count);
    query->asked = wp_calloc(count, sizeof *query->asked);
    for (size_t i = 0; i < count; i++) {
        query->asked[i] = (struct asked_partition){.p = list[i],
                                                   .assignment = list[i]->assignment,
                                                   .leader = -1,
                                                   .committed = -1,
                                                   .low = -1,
                                                   .high = -1};
        wp_partitions_list_add(queries->table, query->list, list[i], RD_KAFKA_OFFSET_INVALID);
    }
    query->work.run = query_run;
    query->work.done = query_done;
    wp_client_run(queries->client, &query->work);
}

void wp_offset_queries_done(struct wp_offset_queries *queries) {
    if (queries->cluster_id) rd_kafka_mem_free(NULL, queries->cluster_id);
    queries->cluster_id = NULL;
}
