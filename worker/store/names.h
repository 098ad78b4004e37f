/* The names of this worker that only one live worker may have: worker.id and host.name. Kept in Redis by a
 * heartbeat; the worker that came first has them, a later one waits. The loop's thread. */
#ifndef WP_STORE_NAMES_H
#define WP_STORE_NAMES_H
#include "store/link.h"

struct wp_names;

struct wp_names_handler {
    /* All names are held. Called after each wp_names_ask that finds it so. */
    void (*held)(void *ctx);
    /* This worker was silent for longer than a heartbeat lasts, and another has a name now. Final; `held` is
     * not called any more. */
    void (*lost)(void *ctx);
};

/* link: of the {pool} slot, borrowed. stats->name_in_use says who has a name. Without a name there is
 * nothing to wait for: wp_names_held is true at once. */
struct wp_names *wp_names_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                              struct wp_link *link, const struct wp_names_handler *handler, void *ctx);
bool wp_names_held(const struct wp_names *names);
/* The link came back (or is there for the first time). */
void wp_names_ask(struct wp_names *names);
/* Gives them back, so that the next worker need not wait, then calls `done` (at once when Redis is away). */
void wp_names_release(struct wp_names *names, void (*done)(void *ctx), void *ctx);
/* After wp_link_free of the link. NULL is fine; run the loop until its handle has closed. */
void wp_names_free(struct wp_names *names);

#endif
