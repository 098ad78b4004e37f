/* The pipeline's own state, shared by the files of pipeline/. */
#ifndef WP_PIPELINE_INTERNAL_H
#define WP_PIPELINE_INTERNAL_H
#include "pipeline/partition.h"
#include "pipeline/publish.h"
#include "pipeline/recover.h"

struct wp_pipeline {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_wire *wire;
    struct wp_link *links[WP_SLOTS];
    struct wp_consumer *consumer;
    struct wp_producer *producer;
    struct publisher *publisher;
    struct recovery *recovery;
    struct partition *partitions;
    int calls[WP_TOPICS_IN];          /* under way, of each topic */
    struct wp_buf body;               /* scratch: the events of a call */
    struct wp_arena arena;            /* scratch: one decoded event */
    uv_timer_t tick;
    int64_t next_commit_us, next_verify_us, next_look_us;
    size_t forgotten; /* events without a partition whose records are not reported yet */
    bool stopping, freed;
    void (*idle)(void *ctx);
    void *idle_ctx;
};

#endif
