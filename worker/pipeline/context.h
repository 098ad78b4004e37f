/* What all files of pipeline/ use. Owned by pipeline.c, which alone changes it. */
#ifndef WP_PIPELINE_CONTEXT_H
#define WP_PIPELINE_CONTEXT_H
#include <uv.h>
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "store/link.h"
#include "trace/exporter.h"
#include "wire/wire.h"

struct pipeline_context {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_wire *wire;
    struct wp_link *links[WP_SLOTS];
    struct wp_consumer *consumer; /* NULL until wp_pipeline_attach */
    struct wp_producer *producer;
    struct wp_exporter *exporter; /* of traces; NULL: none are made */
};

#endif
