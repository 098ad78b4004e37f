/* The pipeline, from a consumed record to its confirmed answers (docs/reliability.md has the rules):
 *
 *   source -> partition window -> one call of the topic's function -> records -> sink -> complete -> floor ->
 * commit
 *
 * One thread: the loop's. */
#ifndef WP_ENGINE_ENGINE_H
#define WP_ENGINE_ENGINE_H
#include "bus/sink.h"
#include "bus/source.h"
#include "engine/handler.h"

struct wp_engine;

/* Borrows all that it is given. source and sink are handed over by wp_engine_attach, because they need the
 * engine's callbacks. */
enum wp_err wp_engine_new(struct wp_engine **ret_engine, uv_loop_t *loop, const struct wp_config *config,
                          struct wp_stats *stats, struct wp_wire *wire, struct wp_link *const links[WP_SLOTS],
                          struct wp_error *error) WP_MUST_CHECK;
/* Reads again what it hands to Redis of the configuration: when that changed before the first event. */
void wp_engine_configure(struct wp_engine *engine);
void wp_engine_attach(struct wp_engine *engine, struct wp_source *source, struct wp_sink *sink);

extern const struct wp_source_handler wp_engine_source_handler; /* ctx: the engine */
void wp_engine_delivered(void *engine, void *token, bool ok);   /* the sink's callback */
void wp_engine_link_state(struct wp_engine *engine, enum wp_slot slot, bool ready);

/* Redis does not know what it should (a host says so): rebuilds it from Kafka, unless that is under way. */
void wp_engine_recover(struct wp_engine *engine);

/* True while this worker handles that partition. */
bool wp_engine_owns(const struct wp_engine *engine, enum wp_topic topic, int32_t partition);
/* Takes no more; `idle` is called once when all that was taken is finished and its floor acknowledged. */
void wp_engine_stop(struct wp_engine *engine, void (*idle)(void *ctx), void *ctx);
void wp_engine_free(struct wp_engine *engine); /* NULL is fine; run the loop once more afterwards */

#endif
