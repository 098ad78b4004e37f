/* The table of the containers that this host knows of; publishes their container-event records. The other
 * files of the host side call it; it calls the runtime's driver and claims.c. One thread: the loop's. */
#ifndef WP_HOST_CONTAINERS_H
#define WP_HOST_CONTAINERS_H
#include <uthash.h>
#include "host/runtime.h"
#include "host/start_spans.h"
#include "kafka/producer.h"
#include "wire/wire.h"

/*   CREATING -> READY -> ENDING -> OVER      each change by wp_held_set
 *      |         ^ |                 ^
 *      |         | v                 |
 *      |        BUSY                 |
 *      +----------+------------------+       (failed, died) */
enum held_state {
    HELD_CREATING, /* a step of the runtime is under way */
    HELD_READY,
    HELD_BUSY,   /* ready, and a step of the runtime is under way: pause, resume or a command */
    HELD_ENDING, /* a step of the runtime is under way */
    HELD_OVER,   /* nothing is left of the container; kept while Redis names it, so that its end can be
                    published again */
};

struct held { /* a container that this host knows of */
    char *id; /* owned */
    char philosophy[65];
    enum held_state state;
    enum wp_container_state over; /* FAILED, DIED or GONE, in HELD_OVER */
    char address[64], detail[192];
    bool paused;
    enum held_step { STEP_PAUSE, STEP_RESUME, STEP_BIND, STEP_CLEAN, STEP_RESET } step; /* of HELD_BUSY */
    char number[24];  /* of the bind or reset that Redis wants */
    const char *done; /* "bound" or "reset": to be published, with `number`; NULL: neither */
    uint64_t changed; /* table->changes when its state changed last */
    bool ask_again;   /* Redis may want something else since the step began: read its row again */
    bool unowned;     /* Redis does not know it: its exit is not published */
    bool left_alone;  /* container_left_alone was logged */
    bool told;        /* Redis was told at once that it has ended */
    bool outdated;    /* container_outdated was logged */
    bool unpublished; /* the producer has not taken its state yet */
    bool seen;        /* in the reconcile under way: by the runtime's list, later by Redis' list */
    UT_hash_handle hh;
};

struct held_table {
    const struct wp_config *config; /* borrowed, as all of these */
    struct wp_stats *stats;
    struct wp_producer *producer;
    struct wp_wire *wire;
    const struct wp_runtime_driver *driver;
    struct wp_runtime *runtime;
    const char *claims; /* the folder of its containers' own folders, empty without one */
    struct held *list;  /* by id */
    struct host_start_spans spans;
    uint64_t changes; /* grows with each change of a container's state */
};

struct held *wp_held_find(struct held_table *table, struct wp_str id);
struct held *wp_held_add(struct held_table *table, struct wp_str id, enum held_state state);
void wp_held_set(struct held_table *table, struct held *held, enum held_state state);
/* Sets HELD_OVER: the container ended with the state `over`. Removes its claim. Does not publish. */
void wp_held_over(struct held_table *table, struct held *held, enum wp_container_state over,
                  struct wp_str detail);
void wp_held_drop(struct held_table *table, struct held *held);
/* Begins to destroy it by the runtime: ENDING. */
void wp_held_destroy(struct held_table *table, struct held *held);
/* Publishes its state; again by wp_held_publish_pending when the producer does not take it now. */
void wp_held_publish(struct held_table *table, struct held *held);
/* Publishes that it has ended, so that nobody gets it; DIED follows, with the reason. */
void wp_held_publish_dying(struct held_table *table, const struct held *held);
/* Publishes that it is not what would be made now, so that it is replaced. */
void wp_held_publish_outdated(struct held_table *table, struct held *held, const char *why);
void wp_held_publish_pending(struct held_table *table);
/* Publishes a state of the host itself; false: the producer does not take it now. */
bool wp_held_publish_host(struct held_table *table, const char *state, const char *detail);

#endif
