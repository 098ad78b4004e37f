/* Owns where a partition begins: delivery rule 6. The loop's thread. */
#include "core/clock.h"
#include "core/log.h"
#include "pipeline/pipeline.h"
#include "pipeline/internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_AGAIN_US = 500000, BLOCKED_LOOK_US = 2000000 };

struct question { /* to Redis about a partition that begins */
    struct partition *p;
    unsigned epoch;
    int64_t start;
};

void partition_look(struct partition *p) {
    p->state = PARTITION_LOOKING;
    p->look_at_us = wp_clock_us();
}

static void look_again(struct partition *p, int64_t after_us) {
    p->look_at_us = wp_clock_us() + after_us;
}

void partition_block(struct partition *p, const char *format, ...) {
    char reason[sizeof p->reason];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (p->state != PARTITION_BLOCKED || strcmp(reason, p->reason) != 0)
        wp_log(WP_LOG_ERROR, "partition_blocked", "topic=%s partition=%d reason=%s",
               wp_topics[p->base.topic].name, p->base.number, reason);
    memcpy(p->reason, reason, sizeof reason);
    p->state = PARTITION_BLOCKED;
    look_again(p, BLOCKED_LOOK_US);
}

static void begin_at(struct partition *p, int64_t start, int64_t floor) {
    p->acked = p->sent = start - 1;
    p->floor = start;
    p->floor_acked = floor;
    p->reason[0] = '\0';
    p->paused = false;
    p->state = PARTITION_RUNNING;
    wp_consumer_start(p->pipeline->consumer, &p->base, start);
    wp_log(WP_LOG_DEBUG, "partition_started", "partition=%s offset=%lld floor=%lld committed=%lld", p->name,
           (long long)start, (long long)floor, (long long)p->base.committed);
}

static struct question *ask(struct partition *p, int64_t start) {
    struct question *q = wp_calloc(1, sizeof *q);
    *q = (struct question){.p = p, .epoch = p->epoch, .start = start};
    p->references++;
    return q;
}

static bool still_wanted(const struct question *q) {
    return (q->p->state == PARTITION_LOOKING || q->p->state == PARTITION_BLOCKED) && q->epoch == q->p->epoch;
}

static void on_begun(void *ctx, const redisReply *reply, const char *error) {
    struct question *q = ctx;
    struct partition *p = q->p;
    (void)error;
    if (still_wanted(q)) {
        bool done = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
        if (done) p->generation = reply->element[1]->integer;
        if (done && reply->element[2]->integer == 1)
            begin_at(p, q->start, reply->element[0]->integer);
        else
            look_again(p, done ? 0 : LOOK_AGAIN_US); /* done: somebody else has begun it */
    }
    partition_release(p);
    free(q);
}

/* Calls, and looks again later when that is not possible. */
static void call(struct partition *p, const char *function, const struct wp_str *args, size_t count,
                 wp_link_reply reply, struct question *q) {
    if (!wp_link_call(p->pipeline->links[p->handler->slot], function, args, count, reply, q)) return;
    look_again(p, LOOK_AGAIN_US);
    partition_release(p);
    free(q);
}

static void begin(struct partition *p, int64_t start) {
    char offset[24];
    int n = snprintf(offset, sizeof offset, "%lld", (long long)start);
    const struct wp_str args[] = {wp_str(p->name), {offset, (size_t)n}, WP_STR("new"), WP_STR("")};
    call(p, "begin", args, 4, on_begun, ask(p, start));
}

/* Nobody has worked on it yet: from the beginning, and the slot is told so first. */
static void begin_anew(struct partition *p) {
    begin(p, p->base.low);
}

/* Redis has forgotten it: what was committed is not done again, if it is still there. */
static void begin_forgotten(struct partition *p) {
    const struct wp_consumer_partition *look = &p->base;
    bool known = look->committed >= look->low && look->committed <= look->high;
    int64_t start = known ? look->committed : look->low;
    wp_log(WP_LOG_WARN, "partition_forgotten", "topic=%s partition=%d offset=%lld reason=%s",
           wp_topics[p->base.topic].name, p->base.number, (long long)start,
           "Redis remembers nothing of it: it goes on at what was committed");
    begin(p, start);
}

static void on_recovered(void *ctx, const redisReply *reply, const char *error) {
    struct question *q = ctx;
    struct partition *p = q->p;
    (void)error;
    if (still_wanted(q)) {
        if (!reply || reply->type != REDIS_REPLY_INTEGER) {
            look_again(p, LOOK_AGAIN_US);
        } else if (reply->integer == 1) {
            begin_forgotten(p);
        } else {
            partition_block(
                p,
                "Redis remembers nothing of topic %s, but its consumer group has committed offset %lld: "
                "Redis "
                "has lost its data (or redis.url or redis.prefix is wrong); leases are being rebuilt from "
                "container-assignment",
                wp_topics[p->base.topic].name, (long long)p->base.committed);
            look_again(p, LOOK_AGAIN_US);
            wp_pipeline_recover(p->pipeline);
        }
    }
    partition_release(p);
    free(q);
}

/* Not before what Kafka tells is back in Redis. */
static void ask_whether_recovered(struct partition *p) {
    call(p, "recovered", NULL, 0, on_recovered, ask(p, 0));
}

static void decide(struct partition *p, int64_t floor) {
    const struct wp_consumer_partition *look = &p->base;
    const char *topic = wp_topics[p->base.topic].name;
    if (floor < 0 && look->committed < 0) {
        begin_anew(p);
        return;
    }
    if (floor < 0) {
        if (p->handler->slot == WP_SLOT_POOL)
            ask_whether_recovered(p);
        else
            begin_forgotten(p);
        return;
    }
    int64_t start = look->committed >= 0 && look->committed < floor ? look->committed : floor;
    if (look->high < floor || start < look->low) {
        partition_block(p,
                        "topic %s has offsets %lld to %lld, but offset %lld comes next: it was made anew, or "
                        "records were deleted before "
                        "they were read; run `warmpool accept %s` to begin again at its first record",
                        topic, (long long)look->low, (long long)look->high, (long long)start, topic);
        return;
    }
    begin_at(p, start, floor);
}

static void on_positions(void *ctx, const redisReply *reply, const char *error) {
    struct question *q = ctx;
    struct partition *p = q->p;
    (void)error;
    if (still_wanted(q)) {
        if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
            p->generation = reply->element[2]->integer;
            decide(p, reply->element[1]->integer);
        } else
            look_again(p, LOOK_AGAIN_US);
    }
    partition_release(p);
    free(q);
}

static bool name_partition(struct partition *p) {
    const char *cluster = wp_consumer_cluster_id(p->pipeline->consumer);
    if (!cluster) return false;
    char *topic = wp_topic_full_name(p->pipeline->config, p->base.topic);
    struct wp_buf name = {0};
    wp_buf_printf(&name, "%s/%s/%d", cluster, topic, p->base.number);
    wp_buf_add(&name, "", 1);
    free(topic);
    free(p->name);
    p->name = name.data;
    return true;
}

void partition_looked(struct partition *p) {
    if (p->state != PARTITION_LOOKING && p->state != PARTITION_BLOCKED) return;
    if (!p->name && !name_partition(p)) {
        look_again(p, LOOK_AGAIN_US);
        return;
    }
    const struct wp_str name = wp_str(p->name);
    call(p, "positions", &name, 1, on_positions, ask(p, 0));
}
