/* The pipeline carries each record from Kafka to its confirmed answers. docs/architecture.md describes the
 * way, docs/reliability.md the rules:
 *
 *   kafka/consumer -> the partition's window (delivery/) -> a call of the topic's function -> records
 *                  -> kafka/producer -> confirmed -> floor -> commit
 *
 * One thread: the loop's. */
#ifndef WP_PIPELINE_PIPELINE_H
#define WP_PIPELINE_PIPELINE_H
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "store/link.h"
#include "trace/exporter.h"
#include "wire/wire.h"

struct wp_pipeline;

/* Borrows all that it is given. consumer and producer are handed over by wp_pipeline_attach, because they
 * need the pipeline's callbacks. */
enum wp_err wp_pipeline_new(struct wp_pipeline **ret_pipeline, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats, struct wp_wire *wire,
                            struct wp_link *const links[WP_SLOTS], struct wp_error *error) WP_MUST_CHECK;
/* Hands the settings to Redis anew: for a configuration that was changed in place after wp_pipeline_new. */
void wp_pipeline_configure(struct wp_pipeline *pipeline);
/* Has acquires traced. Borrowed. Before any event is read; without it there are no traces. */
void wp_pipeline_trace(struct wp_pipeline *pipeline, struct wp_exporter *exporter);
void wp_pipeline_attach(struct wp_pipeline *pipeline, struct wp_consumer *consumer,
                        struct wp_producer *producer);

extern const struct wp_consumer_handler wp_pipeline_consumer_handler; /* ctx: the pipeline */
/* The producer's callback. */
void wp_pipeline_delivered(void *pipeline, void *token, const struct wp_report *report);
void wp_pipeline_link_state(struct wp_pipeline *pipeline, enum wp_slot slot, bool ready);

/* Redis has lost its data (a host found that out): rebuilds it from Kafka, unless that is under way. */
void wp_pipeline_recover(struct wp_pipeline *pipeline);

/* True while this worker handles that partition. */
bool wp_pipeline_owns(const struct wp_pipeline *pipeline, enum wp_topic topic, int32_t partition);
/* Takes no more events and adopts no partition; calls `idle` once, when all events that were taken are done
 * and committed. */
void wp_pipeline_stop(struct wp_pipeline *pipeline, void (*idle)(void *ctx), void *ctx);
void wp_pipeline_free(struct wp_pipeline *pipeline); /* NULL is fine; run the loop once more afterwards */

#endif
