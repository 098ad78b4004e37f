/* The docker driver's table of containers: their phases, one call to the engine at a time for each, and their
 * removal. Of this folder it calls the client only. The files that call it are
 *
 *   exec.c             a program in a container
 *   pull.c, images.c   one pull of an image; which images the engine has, and when they are pulled
 *   init.c             the first process of a container
 *   digest.c, made.c   the digest of an image; what containers were made of, and whether that has changed
 *   deaths.c, output.c why a container ended; what it wrote last
 *   start.c            from the queue until a container is ready
 *   bind.c             pause, resume and the reset command of one that is ready
 *   watch.c            the engine's events and lists
 *   docker.c           the verbs of the driver, open and close
 *
 *   QUEUED -> MAKING -> PROBING -> RUNNING     (MAKING -> QUEUED: its image is missing, and is pulled)
 *      |        |          |          |
 *      v        +----------+----------+-> REMOVING -> gone, reported as GONE when that was asked for
 *     GONE                                  | FAILED and DIED are reported when REMOVING begins
 *
 * One thread: the loop's. */
#ifndef WP_HOST_DOCKER_TABLE_H
#define WP_HOST_DOCKER_TABLE_H
#include <jansson.h>
#include <uthash.h>
#include "host/docker/client.h"
#include "host/deferred.h"
#include "host/init_link.h"

/* A call that the engine refused is repeated after a pause that doubles. */
#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS 10000

static inline int64_t wp_docker_next_retry(int64_t before_ms) {
    int64_t next_ms = before_ms == 0 ? RETRY_FIRST_MS : 2 * before_ms;
    return next_ms > RETRY_MAX_MS ? RETRY_MAX_MS : next_ms;
}

enum docker_phase { QUEUED, MAKING, PROBING, RUNNING, REMOVING };

struct docker_end {    /* what is known of why it ends; deaths.c alone changes it */
    bool asking;       /* it has ended, and the engine is asked why */
    bool waiting;      /* it was killed, and the engine may say yet that it ran out of memory */
    long status;       /* then: its exit status; -1: not known */
    double memory_mb;  /* while waiting: its limit; 0: none */
    char signal[16];   /* the last one that somebody sent to it through the engine, by its number, */
    int64_t signal_us; /* and when; 0: none */
    int64_t oom_us;    /* when a process in it ran out of memory last; 0: never */
};

struct docker_start { /* of one that is started; start.c alone changes it */
    struct wp_limits limits;
    int64_t asked_us, begun_us, made_us, started_us, ready_us; /* 0: adopted */
    int64_t probing_since_us;
    int conflicts; /* creates refused because the name was taken, though it was free afterwards */
    bool waited;   /* it was queued again because its image was missing */
};

struct docker_container;

struct docker_made {     /* what it was made of; made.c alone changes it */
    char *name, *id;     /* of its image; owned; NULL: not known yet */
    char *image;         /* with its digest, as assignments name it; owned; NULL: not known yet */
    char definition[17]; /* the fingerprint in its label; empty: it has none */
    bool redefined;      /* by another definition than the present one */
    bool reported;       /* that it is outdated */
    void (*next)(struct docker_container *container);
};

struct docker_container {
    struct wp_runtime *runtime;
    char *id, *philosophy; /* owned */
    enum docker_phase phase;
    enum wp_container_state over; /* while REMOVING */
    bool reported;                /* `over` has been reported; only its removal is left to do */
    bool ours;                    /* the engine's container of its name was made by us, or has our labels */
    bool step;                    /* a call about it is under way */
    bool unwanted;                /* to be removed when that call is answered */
    bool unanswered; /* the engine did not answer a call of its start: what it has made is not known */
    char address[64], detail[192];
    bool paused;
    bool resuming; /* the call under way resumes it (else pauses); bind.c alone changes it */
    char exec[80]; /* of the command that runs in it; exec.c alone changes these two */
    void (*exec_over)(struct docker_container *container, int code, const char *why);
    struct wp_init_link *init; /* to its first process; NULL: it cannot be cleaned */
    char key[WP_INIT_KEY + 1]; /* init.c alone changes these three; empty: it has no init */
    bool adopted;              /* made by an earlier worker */
    void (*kept)(struct docker_container *container);
    bool cleaning; /* bind.c alone changes it */
    struct docker_start start;
    struct docker_made made;
    struct docker_end end;
    bool looked;   /* what it wrote last was asked for, before its removal */
    json_t *claim; /* meanwhile: its claim, which no line may tell; output.c alone changes it; NULL: none */
    int64_t retry_ms;
    uint64_t changed; /* runtime->changes when its phase changed last, or `paused` */
    bool seen;        /* in the list that is being read; watch.c alone changes it */
    uv_timer_t timer; /* the next probe, or the next try */
    int handles;
    struct docker_container *prev, *next; /* in the queue */
    int64_t turn_us;                      /* its order there: wp_runtime_turn_us */
    UT_hash_handle hh;
};

struct orphan; /* watch.c */

struct docker_images {   /* images.c alone changes it */
    struct image **list; /* owned; each once, that of philosophies without one of their own among them */
    size_t count;
    uv_timer_t timer; /* of the pull that is due next */
    int pulling;
    uint64_t changes;         /* grows when one goes missing or comes */
    uint64_t bytes, failures; /* of pulls */
};

struct docker_watch {       /* watch.c alone changes it */
    struct orphan *orphans; /* by name */
    char *filters;          /* owned: our labels, as the engine's filters, escaped for a URL */
    uv_timer_t retry;       /* of the events */
    uv_timer_t ping;        /* asks whether the engine answers, and for its list */
    bool pinging;
    unsigned pings; /* answered */
    int unanswered; /* pings in a row */
    int listings;   /* under way */
    int64_t retry_ms;
    bool lost;            /* the stream of events failed more than once in a row */
    bool list_unanswered; /* the latest one */
    char why[300];        /* the engine did not answer last */
};

struct wp_runtime {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed */
    struct wp_docker_client *engine;
    struct wp_deferred deferred;
    struct docker_watch watch;
    struct docker_images images;
    void (*on_images)(struct wp_runtime *runtime); /* called when the engine has said what a name means; set
                                                      by made.c */
    char *folder;        /* init.c: of this host, in which each container has its own; empty: there is none */
    char *claims_source; /* start.c: its path on the engine's machine; NULL: ask for the volume first */
    int making, creates; /* creates under way, and their maximum */
    void (*on_room)(struct wp_runtime *runtime); /* called when another may be made; set by start.c */
    uv_timer_t room;                             /* start.c: the loop's next turn, on which another is made */
    /* Called before the removal of one that ended by itself, and goes on with wp_docker_go_on; set by
     * output.c. NULL: not needed */
    void (*last_look)(struct docker_container *container);
    struct docker_container *containers; /* by id */
    struct docker_container *queue;
    uint64_t changes;
    bool closing, closed; /* no more creates; no more calls at all */
    int handles;
};

struct docker_container *wp_docker_find(struct wp_runtime *runtime, struct wp_str id);
const char *wp_docker_text(const json_t *json, const char *key); /* empty when there is none */
/* turn_us: wp_runtime_turn_us of one that is QUEUED, else 0. */
struct docker_container *wp_docker_add(struct wp_runtime *runtime, struct wp_str id, struct wp_str philosophy,
                                       enum docker_phase phase, int64_t turn_us);
/* The only function that changes a phase: counts those being made, takes it out of the queue, stops its
 * timer. */
void wp_docker_set_phase(struct docker_container *container, enum docker_phase phase);
/* The engine has nothing of the container that is being made: back to its place in the queue. */
void wp_docker_requeue(struct docker_container *container);
/* Reports the end of one that is QUEUED, and forgets it. */
void wp_docker_end_queued(struct docker_container *container, enum wp_container_state over,
                          const char *detail);
/* Notes that the engine's container of its name is ours. */
void wp_docker_own(struct docker_container *container);
void wp_docker_set_paused(struct docker_container *container, bool paused);
/* True when the inspected container has the labels of this host. */
bool wp_docker_is_ours(const struct wp_runtime *runtime, const struct wp_docker_client_answer *inspected);
/* Calls the engine about the container, one call at a time; frees path. `next` is not called when the
 * container was asked to go meanwhile. */
void wp_docker_ask(struct docker_container *container, const char *method, char *path, const char *body,
                   void (*next)(struct docker_container *container,
                                const struct wp_docker_client_answer *answer));
/* The same for the container's own port, by wp_docker_client_reach. */
void wp_docker_reach(struct docker_container *container, const char *url, bool connect_only,
                     void (*next)(struct docker_container *container,
                                  const struct wp_docker_client_answer *answer));
/* Begins to remove it. FAILED and DIED are reported at once, with `detail`; GONE, and what follows a call
 * that the engine did not answer, when it is gone. */
void wp_docker_end(struct docker_container *container, enum wp_container_state over, const char *detail);
void wp_docker_go_on(struct docker_container *container); /* with its removal, after last_look */
/* As wp_docker_end(GONE); also turns a removal under way into one that is reported as GONE when it is gone.
 */
void wp_docker_remove(struct docker_container *container);
/* The only function that takes a container out of the table. It must not be QUEUED. */
void wp_docker_forget(struct docker_container *container);

#endif
