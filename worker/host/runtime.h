/* The interface of the drivers that make containers. Every verb returns at once; its end is reported by
 * `notify` on the loop's thread, never from inside a verb. Verbs are idempotent: creating a name that exists
 * adopts that container, destroying one that is gone reports GONE. */
#ifndef WP_HOST_RUNTIME_H
#define WP_HOST_RUNTIME_H
#include <uv.h>
#include "core/config.h"
#include "core/stats.h"
#include "wire/events.h"

struct wp_runtime; /* an instance of a driver */

enum wp_container_state { /* as the driver saw it, in the order of a container's life */
                          WP_CONTAINER_STARTING,
                          WP_CONTAINER_READY, /* seen running and, where there is a probe, ready: may be
                                                 leased */
                          /* Both are said as soon as they are known, while the removal is still under way. */
                          WP_CONTAINER_FAILED, /* the create failed; detail says why */
                          WP_CONTAINER_DIED,   /* it ended after it had been ready, not as asked */
                          WP_CONTAINER_GONE,   /* destroyed as asked */
                          /* The ends of the other verbs. When resume, clean or a command fails the container
                             ends (DIED). PAUSED and RUNNING also come when somebody else has paused or
                             resumed it, PAUSED before READY when it is adopted paused. */
                          WP_CONTAINER_PAUSED,
                          WP_CONTAINER_RUNNING, /* not paused: after resume, or after a pause that failed */
                          WP_CONTAINER_RAN,     /* the command has succeeded */
                          WP_CONTAINER_CLEANED, /* what its last user left is gone */
                          WP_CONTAINER_DYING, /* it has ended, not as asked; DIED follows, with the reason */
                          WP_CONTAINER_OUT_OF_MEMORY, /* a process in it was ended at its memory limit; the
                                                         container goes on */
                          WP_CONTAINER_OUTDATED, /* its facts say `outdated` from now on; the container goes
                                                    on */
};

struct wp_container_facts { /* of one that is ready */
    const char *image;      /* what it was made of, with a digest; borrowed; empty when there is none */
    const char *outdated;   /* why it is not what would be made now; NULL: it is */
    double queue_ms, create_ms, start_ms, ready_ms; /* of its start; all 0 when it was adopted */
};

struct wp_container_spec {
    struct wp_str id; /* the container's name: derives from the create's identity */
    struct wp_str philosophy;
    struct wp_limits limits;
    bool spare; /* no request waits for it */
};

/* address: how an agent reaches it, only with READY ("pid:1234" for a process); detail: a sentence, may be
 * empty; with DIED after a word of core/ends.h, as "exited: it exited with status 3". */
typedef void (*wp_runtime_notify)(void *ctx, struct wp_str id, enum wp_container_state state,
                                  struct wp_str address, struct wp_str detail);
/* detail: why it died, only with DIED. */
typedef void (*wp_runtime_listed)(void *ctx, struct wp_str id, enum wp_container_state state,
                                  struct wp_str address, struct wp_str detail);

typedef void (*wp_runtime_left)(void *ctx, struct wp_str id);

struct wp_runtime_driver { /* all drivers are in the table of runtime.c */
    const char *name;
    int default_creates; /* creates at once when host.creates is 0 */
    bool outlives;    /* its containers run on without their worker, so a stop keeps them unless host.on_exit
                         says otherwise */
    bool has_folders; /* pool.clean needs a folder for each container, as claims do */
    /* What `open` would refuse of the configuration. NULL: nothing. */
    enum wp_err (*check)(const struct wp_config *config, struct wp_error *error);
    enum wp_err (*open)(struct wp_runtime **ret_runtime, uv_loop_t *loop, const struct wp_config *config,
                        wp_runtime_notify notify, void *ctx, struct wp_error *error);
    /* The configuration that was given to `open` has changed in place: renews what was kept of it. NULL:
     * nothing was. */
    void (*configure)(struct wp_runtime *runtime);
    void (*create)(struct wp_runtime *runtime, const struct wp_container_spec *spec);
    void (*destroy)(struct wp_runtime *runtime, struct wp_str id);
    /* For a ready container, one verb at a time. NULL: the runtime does not have the verb. */
    void (*pause)(struct wp_runtime *runtime, struct wp_str id);
    void (*resume)(struct wp_runtime *runtime, struct wp_str id);
    void (*run)(struct wp_runtime *runtime, struct wp_str id, const char *command); /* by /bin/sh -c in it */
    /* Ends the processes that were not there when it became ready, and empties what can be written to. */
    void (*clean)(struct wp_runtime *runtime, struct wp_str id);
    /* False: there is no such container, or it is not ready. */
    bool (*facts)(struct wp_runtime *runtime, struct wp_str id, struct wp_container_facts *ret);
    /* False: the image of the philosophy's containers is missing ("": that of all philosophies without an
     * image of their own). As of the latest list. NULL: nothing can be missing. */
    bool (*can_make)(struct wp_runtime *runtime, const char *philosophy);
    /* Why not, a sentence; empty when it can. NULL with can_make. */
    void (*lacks)(struct wp_runtime *runtime, const char *philosophy, char *into, size_t room);
    /* Writes what the worker's figures say of its images; returns a number that changes when an answer of
     * can_make does. NULL: nothing to say. */
    uint64_t (*report)(struct wp_runtime *runtime, struct wp_stats *stats);
    /* Why the container engine is unreachable, a sentence, borrowed until the next turn of the loop; NULL: it
     * is not. NULL instead of the verb: the driver needs no engine. */
    const char *(*away)(struct wp_runtime *runtime);
    /* Calls listed for each container of this host, now or later, then done. Containers that have died are
     * listed until they are removed. */
    void (*list)(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                 void *ctx);
    /* Of another host that has left its containers at the engine: calls left for each, later, then done.
     * remove_left: removes one of these. NULL: its containers end with their worker. */
    void (*left)(struct wp_runtime *runtime, const char *host, wp_runtime_left left,
                 void (*done)(void *ctx, bool ok), void *ctx);
    void (*remove_left)(struct wp_runtime *runtime, struct wp_str id, void (*done)(void *ctx, bool ok),
                        void *ctx);
    /* Waits until the containers that are being destroyed are gone (`process`: all containers), for 5 s at
     * most, or 20 s with an engine. NULL is fine. */
    void (*close)(struct wp_runtime *runtime);
};

const struct wp_runtime_driver *wp_runtime_driver_find(const char *name); /* NULL: no such driver */
/* How many creates may be under way at once: host.creates, or the driver's own number. */
int wp_runtime_creates(const struct wp_runtime_driver *driver, const struct wp_config *config);
/* When it is a container's turn to be made, of those that wait: a time (us). One that no request
 * waits for comes as if it had been asked for 10 s later, so that those of a refill hold up no request, and a
 * request that comes to wait for one of these gets it before its usual time (30 s) is over. */
int64_t wp_runtime_turn_us(const struct wp_container_spec *spec);
extern const struct wp_runtime_driver wp_runtime_process, wp_runtime_docker;

#endif
