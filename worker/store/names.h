/* Claims the names that only one live worker may have: worker.id and host.name. A heartbeat holds them in
 * Redis; the worker that claimed them first has them, a later one waits. The loop's thread. */
#ifndef WP_STORE_NAMES_H
#define WP_STORE_NAMES_H
#include "store/link.h"

struct wp_names;

struct wp_names_handler {
    /* All names are held. Called once after each wp_names_ask. */
    void (*held)(void *ctx);
    /* Another worker has taken a name, because this one's heartbeat was missing for too long. Final: `held`
     * is not called any more. */
    void (*lost)(void *ctx);
};

/* link: of the {pool} slot, borrowed. While another worker has a name, stats->name_in_use says which worker.
 * Without a configured name wp_names_held is true at once. */
struct wp_names *wp_names_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                              struct wp_link *link, const struct wp_names_handler *handler, void *ctx);
bool wp_names_held(const struct wp_names *names);
/* To be called each time that the link becomes ready. */
void wp_names_ask(struct wp_names *names);
/* Gives the names back, so that the next worker need not wait, then calls `done` (at once when Redis is
 * down). */
void wp_names_release(struct wp_names *names, void (*done)(void *ctx), void *ctx);
/* After wp_link_free of the link. NULL is fine; run the loop until its handle has closed. */
void wp_names_free(struct wp_names *names);

#endif
