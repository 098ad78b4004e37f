/* The engine's own state, shared by the files of engine/. */
#ifndef WP_ENGINE_ENGINE_INTERNAL_H
#define WP_ENGINE_ENGINE_INTERNAL_H
#include "engine/partition.h"
#include "engine/publish.h"
#include "engine/recover.h"

struct wp_engine {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_wire *wire;
    struct wp_link *links[WP_SLOTS];
    struct wp_source *source;
    struct wp_sink *sink;
    struct publisher *publisher;
    struct recovery *recovery;
    struct partition *partitions;
    int calls[WP_TOPICS_IN];          /* under way, of each topic */
    struct wp_buf settings[WP_SLOTS]; /* MessagePack, the same for every call */
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
