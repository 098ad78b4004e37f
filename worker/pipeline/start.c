/* Asks the state slot and carries out delivery/begin.h's decision. The loop's thread. */
#include "pipeline/start.h"
#include "core/clock.h"
#include "core/log.h"
#include "delivery/begin.h"
#include <stdio.h>
#include <stdlib.h>

#define UNKNOWN_FOR_LONG 20 /* in a row, half a second each: a topic that was just made has no leader yet */

struct start_query { /* about a partition that begins; lives until the decision is reported */
    const struct starter *starter;
    struct partition *p;
    unsigned generation;
    struct wp_begin_facts facts;
    int64_t start;
};

static void ask_again(const struct start_query *q) {
    wp_delivery_ask_again(q->p->delivery, q->generation, wp_clock_us());
}

static void end(struct start_query *q) {
    partition_release(q->p);
    free(q);
}

static bool is_wanted(const struct start_query *q) {
    return q->p->delivery && wp_delivery_state(q->p->delivery) != WP_DELIVERY_RUNNING &&
           wp_delivery_generation(q->p->delivery) == q->generation;
}

static void call(struct start_query *q, const char *function, const struct wp_str *args, size_t count,
                 wp_link_reply reply) {
    if (!wp_link_call(q->p->context->links[q->p->row->slot], function, args, count, reply, q)) return;
    ask_again(q);
    end(q);
}

static void begin_at(const struct start_query *q, int64_t floor) {
    struct partition *p = q->p;
    wp_log(WP_LOG_DEBUG, "partition_started", "partition=%s offset=%lld floor=%lld committed=%lld", p->name,
           (long long)q->start, (long long)floor, (long long)q->facts.committed);
    if (q->facts.committed < 0 && q->start > q->facts.low)
        wp_log(WP_LOG_WARN, "partition_without_commit", "topic=%s partition=%d offset=%lld reason=%s",
               wp_topics[p->row->topic].name, p->base.number, (long long)q->start,
               "its group has no commit: it goes on at what Redis remembers; if the topic was made anew, the "
               "records before that offset are passed over");
    wp_delivery_begin(p->delivery, q->generation, q->start, floor, q->facts.committed);
}

static void block(const struct start_query *q, const char *reason) {
    struct partition *p = q->p;
    if (strcmp(reason, wp_delivery_reason(p->delivery)) != 0)
        wp_log(WP_LOG_ERROR, "partition_blocked", "topic=%s partition=%d reason=%s",
               wp_topics[p->row->topic].name, p->base.number, reason);
    wp_delivery_block(p->delivery, q->generation, reason, wp_clock_us());
}

static void on_floor_set(void *ctx, const redisReply *reply, const char *error) {
    struct start_query *q = ctx;
    (void)error;
    bool done = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
    if (is_wanted(q) && done && reply->element[2]->integer == 1) {
        q->p->accepted = reply->element[1]->integer;
        begin_at(q, reply->element[0]->integer);
    } else if (is_wanted(q)) { /* not answered, another worker was faster, or Redis has lost its data since */
        ask_again(q);
    }
    end(q);
}

static void set_floor(struct start_query *q, int64_t start, bool forgotten) {
    char offset[24], seen[24];
    q->start = start;
    (void)snprintf(offset, sizeof offset, "%lld", (long long)start);
    (void)snprintf(seen, sizeof seen, "%lld", (long long)q->p->accepted);
    const struct wp_str args[] = {wp_str(q->p->name), wp_str(offset), WP_STR("new"), wp_str(seen)};
    if (forgotten)
        wp_log(WP_LOG_WARN, "partition_forgotten", "topic=%s partition=%d offset=%lld reason=%s",
               wp_topics[q->p->row->topic].name, q->p->base.number, (long long)start,
               "Redis remembers nothing of it: it goes on at what was committed");
    call(q, "begin", args, 4, on_floor_set);
}

static void carry_out(struct start_query *q);

static void on_recovered(void *ctx, const redisReply *reply, const char *error) {
    struct start_query *q = ctx;
    char reason[512];
    (void)error;
    if (is_wanted(q) && reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
        q->facts.recovered = true;
        carry_out(q);
        return;
    }
    if (is_wanted(q) && reply && reply->type == REDIS_REPLY_INTEGER) {
        (void)snprintf(reason, sizeof reason,
                       "Redis remembers nothing of topic %s, but its consumer group has committed offset "
                       "%lld: Redis has "
                       "lost its data (or redis.url or redis.prefix is wrong); leases are being rebuilt from "
                       "container-assignment",
                       wp_topics[q->p->row->topic].name, (long long)q->facts.committed);
        block(q, reason);
        q->starter->recover(q->starter->ctx);
    } else if (is_wanted(q)) {
        ask_again(q);
    }
    end(q);
}

static void block_out_of_log(const struct start_query *q, int64_t start) {
    char reason[512];
    const char *topic = wp_topics[q->p->row->topic].name;
    (void)snprintf(
        reason, sizeof reason,
        "topic %s, partition %d, has offsets %lld to %lld, but offset %lld comes next: it was made anew, or "
        "records were deleted before they were read; run `warmpool accept %s` to begin again at its first "
        "record",
        topic, q->p->base.number, (long long)q->facts.low, (long long)q->facts.high, (long long)start, topic);
    block(q, reason);
}

static void carry_out(struct start_query *q) {
    struct wp_begin begin = wp_begin_decide(&q->facts);
    switch (begin.kind) {
    case WP_BEGIN_SET_FLOOR:
        set_floor(q, begin.start, begin.forgotten);
        return;
    case WP_BEGIN_RECOVER:
        call(q, "recovered", NULL, 0, on_recovered);
        return;
    case WP_BEGIN_AT:
        q->start = begin.start;
        begin_at(q, q->facts.floor);
        break;
    case WP_BEGIN_BLOCKED:
        block_out_of_log(q, begin.start);
        break;
    }
    end(q);
}

static void on_positions(void *ctx, const redisReply *reply, const char *error) {
    struct start_query *q = ctx;
    (void)error;
    if (is_wanted(q) && reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        q->facts.floor = reply->element[1]->integer;
        q->p->accepted = reply->element[2]->integer;
        carry_out(q);
        return;
    }
    if (is_wanted(q)) ask_again(q);
    end(q);
}

static bool name_partition(struct partition *p) {
    const char *cluster = wp_consumer_cluster_id(p->context->consumer);
    if (p->name || !cluster) return p->name != NULL;
    char *topic = wp_topic_full_name(p->context->config, p->row->topic);
    struct wp_buf name = {0};
    wp_buf_printf(&name, "%s/%s/%d", cluster, topic, p->base.number);
    wp_buf_add(&name, "", 1);
    free(topic);
    p->name = name.data;
    return true;
}

void start_partition(const struct starter *starter, struct partition *p, const char *error) {
    unsigned generation = wp_delivery_generation(p->delivery);
    if (error || !name_partition(p)) {
        if (error)
            wp_log(++p->unknown == UNKNOWN_FOR_LONG ? WP_LOG_WARN : WP_LOG_DEBUG, "partition_not_known",
                   "topic=%s partition=%d error=%s", wp_topics[p->row->topic].name, p->base.number, error);
        wp_delivery_ask_again(p->delivery, generation, wp_clock_us());
        return;
    }
    p->unknown = 0;
    struct start_query *q = wp_calloc(1, sizeof *q);
    *q = (struct start_query){.starter = starter,
                              .p = p,
                              .generation = generation,
                              .facts = {.committed = p->base.committed,
                                        .low = p->base.low,
                                        .high = p->base.high,
                                        .floor = -1,
                                        .recovered = p->row->slot != WP_SLOT_POOL}};
    const struct wp_str name = wp_str(p->name);
    partition_hold(p);
    call(q, "positions", &name, 1, on_positions);
}
