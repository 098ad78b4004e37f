/* The containers that this host knows of, and the records that say what became of them. The ground of the
 * host side: it calls none of its other files. One thread: the loop's. */
#ifndef WP_HOST_CONTAINERS_H
#define WP_HOST_CONTAINERS_H
#include <uthash.h>
#include "host/runtime.h"
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
    HELD_OVER,   /* nothing is left of it; kept until Redis does not name it any more, so that its end can be
                    said again */
};

struct held { /* a container that this host knows of */
    char *id; /* owned */
    char philosophy[65];
    enum held_state state;
    enum wp_container_state over; /* FAILED, DIED or GONE, in HELD_OVER */
    char address[64], detail[192];
    bool paused;
    enum held_step { STEP_PAUSE, STEP_BIND, STEP_RESET } step; /* of HELD_BUSY */
    char number[24];                                           /* of the bind or reset that Redis wants */
    const char *done; /* "bound" or "reset": to be said, with its number */
    uint64_t changed; /* table->changes when its state changed last */
    bool ask_again;   /* the step under way is not what Redis wants by now */
    bool unowned;     /* Redis does not know it: its exit is not published */
    bool left_alone;  /* was said */
    bool unpublished; /* its state could not be produced yet */
    bool seen;        /* in the runtime's list, then in the list of Redis, of the reconcile under way */
    UT_hash_handle hh;
};

struct held_table {
    const struct wp_config *config; /* borrowed, as all of these */
    struct wp_producer *producer;
    struct wp_wire *wire;
    const struct wp_runtime_driver *driver;
    struct wp_runtime *runtime;
    const char *claims; /* the folder of its containers' claims, empty without one */
    struct held *list;  /* by id */
    uint64_t changes;   /* grows with each change of a container's state */
};

struct held *wp_held_find(struct held_table *table, struct wp_str id);
struct held *wp_held_add(struct held_table *table, struct wp_str id, enum held_state state);
void wp_held_set(struct held_table *table, struct held *held, enum held_state state);
/* It has ended so: wipes its claim. Does not publish. */
void wp_held_over(struct held_table *table, struct held *held, enum wp_container_state over,
                  struct wp_str detail);
void wp_held_drop(struct held_table *table, struct held *held);
/* Has the runtime destroy it: ENDING. */
void wp_held_destroy(struct held_table *table, struct held *held);
/* Publishes its state; again by wp_held_publish_pending when the producer does not take it now. */
void wp_held_publish(struct held_table *table, struct held *held);
void wp_held_publish_pending(struct held_table *table);
/* Publishes a state of the host itself; false: the producer does not take it now. */
bool wp_held_publish_host(struct held_table *table, const char *state, const char *detail);

#endif
