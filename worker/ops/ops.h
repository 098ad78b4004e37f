/* The work of a worker beside handling events: health and metrics over HTTP, the metrics record, the sweeper,
 * pre-warming, the memory optimiser and tuning. Changes shared state by publishing events, and by the sweep
 * functions. One thread: the loop's. */
#ifndef WP_OPS_OPS_H
#define WP_OPS_OPS_H
#include "kafka/producer.h"
#include "store/link.h"
#include "wire/wire.h"

struct wp_ops;

/* Borrows all that it is given. Binds http.listen: WP_ERR_CONFIG when the address is taken. */
enum wp_err wp_ops_new(struct wp_ops **ret_ops, uv_loop_t *loop, const struct wp_config *config,
                       struct wp_stats *stats, struct wp_link *const links[WP_SLOTS],
                       struct wp_producer *producer, struct wp_wire *wire,
                       struct wp_error *error) WP_MUST_CHECK;
void wp_ops_start(struct wp_ops *ops);
/* The configuration that was given to wp_ops_new has changed in place: timers and policies follow. */
void wp_ops_configure(struct wp_ops *ops);
/* Who is asked for a reload over HTTP (POST /reload): `ask` returns the number of the round of reading the
 * configuration that serves the request; 0: the worker is stopping. */
void wp_ops_on_reload(struct wp_ops *ops, unsigned (*ask)(void *ctx), void *ctx);
/* That round is over: answers those that wait for it. json: of http.listen's POST /reload; copied. */
void wp_ops_reloaded(struct wp_ops *ops, unsigned round, bool ok, const char *json);
/* Says whether this worker owns partition 0 of container-event, whose owner sweeps. */
void wp_ops_set_sweeper(struct wp_ops *ops, bool owner);
/* Publishes the last metrics record, to be flushed by the caller; health stays reachable. Idempotent, NULL is
 * fine. */
void wp_ops_stop(struct wp_ops *ops);
void wp_ops_free(struct wp_ops *ops); /* NULL is fine; run the loop once more afterwards */

#endif
