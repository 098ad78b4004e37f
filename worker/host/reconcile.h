/* Compares what Redis wants of this host's containers (desired.h) with what the runtime has, and begins the
 * next step of each: create, destroy, or a step around a lease (bind.h). Handles the runtime's events, too.
 * One thread: the loop's. */
#ifndef WP_HOST_RECONCILE_H
#define WP_HOST_RECONCILE_H
#include "host/desired.h"

struct host_reconcile {
    struct held_table *table; /* borrowed */
    struct host_desired desired;
    uint64_t listed_at; /* table->changes when the runtime was asked for its list */
    bool running;       /* from the runtime's list to the last page of what is wanted */
    bool again;         /* begin another reconcile when this one ends, or at the next tick */
    bool listed;        /* the runtime has listed its containers once */
    bool stopped;
    void (*on_listed)(void *ctx);  /* the runtime has listed its containers for the first time */
    void (*on_success)(void *ctx); /* a reconcile is complete: all rows were read and their steps begun */
    void *ctx;
};

/* Sets all fields but on_listed, on_success and ctx, which the caller sets. */
void wp_reconcile_init(struct host_reconcile *reconcile, struct held_table *table, struct wp_link *link,
                       struct host_pins *pins);
/* Reconciles all containers; when that is under way already, once more afterwards. */
void wp_reconcile(struct host_reconcile *reconcile);
void wp_reconcile_tick(struct host_reconcile *reconcile); /* begins the reconcile that `again` asks for */
/* wp_runtime_notify: ctx is the reconcile. */
void wp_reconcile_notify(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                         struct wp_str detail);
void wp_reconcile_stop(struct host_reconcile *reconcile);

#endif
