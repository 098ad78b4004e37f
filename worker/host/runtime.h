/* The driver that makes containers. Asynchronous: every verb returns at once, and what became of it is told
 * through `notify` on the loop's thread. Verbs are idempotent: creating a name that exists adopts it,
 * destroying one that is gone says gone. */
#ifndef WP_HOST_RUNTIME_H
#define WP_HOST_RUNTIME_H
#include <uv.h>
#include "core/config.h"
#include "wire/events.h"

struct wp_runtime; /* an instance of a driver */

enum wp_container_state { /* what the driver saw; the order is the way of a container's life */
                          WP_CONTAINER_STARTING,
                          WP_CONTAINER_READY,  /* seen running and, where there is a probe, ready: may be
                                                  leased */
                          WP_CONTAINER_FAILED, /* the create failed (detail says why); nothing is left of it
                                                */
                          WP_CONTAINER_DIED, /* it ended by itself after it had been ready; nothing is left of
                                                it */
                          WP_CONTAINER_GONE, /* destroyed as asked */
                          /* the ends of the other verbs; one that fails ends the container, which is said */
                          WP_CONTAINER_PAUSED,
                          WP_CONTAINER_RUNNING, /* not paused: what resume wanted, or what pause could not
                                                   change */
                          WP_CONTAINER_RAN,     /* the command has run, and well */
};

struct wp_container_facts {                         /* of one that is ready */
    const char *image;                              /* borrowed; empty when there is none */
    double queue_ms, create_ms, start_ms, ready_ms; /* what its start took; all 0 of one that was adopted */
};

struct wp_container_spec {
    struct wp_str id; /* the container's name: derives from the create's identity */
    struct wp_str philosophy;
    struct wp_limits limits;
};

/* address: how an agent reaches it, only with READY ("pid:1234" for a process); detail: a sentence, may be
 * empty. */
typedef void (*wp_runtime_notify)(void *ctx, struct wp_str id, enum wp_container_state state,
                                  struct wp_str address, struct wp_str detail);
typedef void (*wp_runtime_listed)(void *ctx, struct wp_str id, enum wp_container_state state,
                                  struct wp_str address);

struct wp_runtime_driver { /* the closed table of drivers is in runtime.c */
    const char *name;
    int default_creates; /* creates at once when host.creates is 0 */
    bool outlives; /* its containers run on without their worker: kept when it stops, unless host.on_exit says
                      else */
    enum wp_err (*open)(struct wp_runtime **ret_runtime, uv_loop_t *loop, const struct wp_config *config,
                        wp_runtime_notify notify, void *ctx, struct wp_error *error);
    void (*create)(struct wp_runtime *runtime, const struct wp_container_spec *spec);
    void (*destroy)(struct wp_runtime *runtime, struct wp_str id);
    /* Of one that is ready, one verb at a time. NULL: the runtime cannot do that. */
    void (*pause)(struct wp_runtime *runtime, struct wp_str id);
    void (*resume)(struct wp_runtime *runtime, struct wp_str id);
    void (*run)(struct wp_runtime *runtime, struct wp_str id, const char *command); /* by /bin/sh -c in it */
    /* False: there is no such container, or it is not ready. */
    bool (*facts)(struct wp_runtime *runtime, struct wp_str id, struct wp_container_facts *ret);
    /* False: what the philosophy's containers are made of is not there ("": of all that have nothing of their
     * own). As it was when the runtime listed last. NULL: nothing can be missing. */
    bool (*can_make)(struct wp_runtime *runtime, const char *philosophy);
    /* True: what makes the containers does not answer. NULL: it always does. */
    bool (*away)(struct wp_runtime *runtime);
    /* Calls listed for each container of this host, now or later, then done. */
    void (*list)(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                 void *ctx);
    /* What was asked to go is gone when it returns, and with `process` all the rest; bounded: by 5 s, by 20 s
     * with an engine. NULL is fine. */
    void (*close)(struct wp_runtime *runtime);
};

const struct wp_runtime_driver *wp_runtime_driver_find(const char *name); /* NULL: no such driver */
/* How many creates may be under way at once: host.creates, or the driver's own number. */
int wp_runtime_creates(const struct wp_runtime_driver *driver, const struct wp_config *config);
extern const struct wp_runtime_driver wp_runtime_process, wp_runtime_docker;

#endif
