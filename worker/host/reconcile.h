/* What Redis wants of this host's containers against what the runtime has. Stands above the table of
 * containers, what is done before and after a lease, and the reading of what is wanted. One thread: the
 * loop's. */
#ifndef WP_HOST_RECONCILE_H
#define WP_HOST_RECONCILE_H
#include "host/desired.h"

struct host_reconcile {
    struct held_table *table; /* borrowed */
    struct host_desired desired;
    uint64_t listed_at; /* table->changes when the runtime was asked for its list */
    bool running;       /* from the runtime's list to the last page of what is wanted */
    bool again;         /* another one is to follow */
    bool listed;        /* the runtime has said once what there is */
    bool stopped;
    void (*on_listed)(void *ctx);  /* it has said so for the first time */
    void (*on_success)(void *ctx); /* all that was wanted has been read and begun */
    void *ctx;
};

/* Fills what is asked for; on_listed, on_success and ctx are the caller's to set. */
void wp_reconcile_init(struct host_reconcile *reconcile, struct held_table *table, struct wp_link *link,
                       struct host_pins *pins);
/* Compares all; once more when it is under way already. */
void wp_reconcile(struct host_reconcile *reconcile);
void wp_reconcile_tick(struct host_reconcile *reconcile); /* one that is to follow */
/* wp_runtime_notify: ctx is the reconcile. */
void wp_reconcile_notify(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                         struct wp_str detail);
void wp_reconcile_stop(struct host_reconcile *reconcile);

#endif
