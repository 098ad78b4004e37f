/* Inside the docker driver: docker.c (what is known of containers, their end, the verbs), docker_start.c
 * (from a create until it is ready), docker_watch.c (events, and what the engine says there is). One thread:
 * the loop's. */
#ifndef WP_HOST_DOCKER_INTERNAL_H
#define WP_HOST_DOCKER_INTERNAL_H
#include <jansson.h>
#include <uthash.h>
#include "host/docker/client.h"
#include "host/notices.h"

/* What the engine did not take is tried again, ever more slowly. */
#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS 10000

static inline int64_t wp_docker_next_retry(int64_t before_ms) {
    int64_t next_ms = before_ms == 0 ? RETRY_FIRST_MS : 2 * before_ms;
    return next_ms > RETRY_MOST_MS ? RETRY_MOST_MS : next_ms;
}

enum phase { QUEUED, MAKING, PROBING, RUNNING, REMOVING };

struct container {
    struct wp_runtime *runtime;
    char *id, *philosophy; /* owned */
    struct wp_limits limits;
    enum phase phase;
    enum wp_container_state over; /* while REMOVING */
    bool ours;                    /* what has its name at the engine: made by us, or has our labels */
    bool step;                    /* a call of it is under way */
    bool unwanted;                /* to be removed when that is answered */
    char address[64], detail[192];
    int conflicts;         /* creates whose name was taken by nobody */
    bool paused, resuming; /* resuming: what the call under way is for */
    char exec[80];         /* of the command that runs in it */
    void (*exec_over)(struct container *container, int code, const char *why);
    int64_t asked_us, begun_us, made_us, started_us, ready_us; /* of its start; 0: adopted */
    int64_t probing_since_us;
    int64_t retry_ms;
    uint64_t changed; /* runtime->changes when it became what it is */
    bool seen;        /* in the list that is read */
    uv_timer_t timer; /* the next look, or the next try */
    int handles;
    struct container *prev, *next; /* in the queue */
    UT_hash_handle hh;
};

struct image;    /* docker_images.c */
struct stranger; /* docker_watch.c */

struct wp_runtime {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed */
    struct wp_docker_client *engine;
    struct wp_notices notices;
    struct stranger *strangers; /* by name: docker_watch.c */
    struct image *images;       /* owned: of the philosophies that have their own, then that of the rest */
    char *filters;              /* owned: our labels, as the engine's filters, escaped for a URL */
    char *claims_source; /* owned: this host's in host.claims, as the engine has it; NULL until the volume was
                            asked for */
    int making, creates;
    struct container *containers; /* by id */
    struct container *queue;
    uint64_t changes;
    uv_timer_t events_retry;
    int64_t events_retry_ms;
    bool events_lost; /* more than once in a row */
    bool list_unanswered;
    bool closing, closed; /* no more creates; no more of anything */
    int handles;
};

/* docker.c */
struct container *wp_docker_find(struct wp_runtime *runtime, struct wp_str id);
const char *wp_docker_text(const json_t *json, const char *key); /* empty when there is none */
struct container *wp_docker_add(struct wp_runtime *runtime, struct wp_str id, struct wp_str philosophy,
                                enum phase phase);
void wp_docker_set_phase(struct container *container, enum phase phase);
/* Whether what was inspected has the labels of this host. */
bool wp_docker_is_ours(const struct wp_runtime *runtime, const struct wp_docker_client_answer *inspected);
/* One call at a time; path is freed. `next` is not called for one that is to be removed meanwhile. */
void wp_docker_ask(struct container *container, const char *method, char *path, const char *body,
                   void (*next)(struct container *container, const struct wp_docker_client_answer *answer));
/* The same, of a container's own port: wp_docker_client_reach. */
void wp_docker_reach(struct container *container, const char *url, bool connect_only,
                     void (*next)(struct container *container, const struct wp_docker_client_answer *answer));
/* It goes, and this is what will be said of it then. */
void wp_docker_end(struct container *container, enum wp_container_state over, const char *detail);
/* Nothing is left of it: says what it was ended as. */
void wp_docker_be_over(struct container *container);

/* docker_exec.c: runs a program in the container and waits for its end; code: of its exit, -1 when it could
 * not be run or did not end within docker.timeout_ms (why says it then). */
void wp_docker_exec(struct container *container, const char *const argv[],
                    void (*over)(struct container *container, int code, const char *why));

/* docker_images.c: which images are missing at the engine */
void wp_docker_images_open(struct wp_runtime *runtime);
void wp_docker_images_look(struct wp_runtime *runtime); /* asks the engine */
void wp_docker_image_missing(struct wp_runtime *runtime, const char *philosophy);
bool wp_docker_can_make(struct wp_runtime *runtime, const char *philosophy);

/* docker_handout.c: verbs of one that is ready */
void wp_docker_pause(struct wp_runtime *runtime, struct wp_str id);
void wp_docker_resume(struct wp_runtime *runtime, struct wp_str id);
void wp_docker_run(struct wp_runtime *runtime, struct wp_str id, const char *command);

/* docker_start.c */
void wp_docker_forget_strangers(struct wp_runtime *runtime);
void wp_docker_start_queued(struct wp_runtime *runtime); /* as many as may be made at once */
void wp_docker_probe(struct container *container);       /* it runs: until it is ready */

/* docker_watch.c */
char *wp_docker_filters(const struct wp_config *config, bool events); /* our labels, for a URL; owned */
void wp_docker_watch(struct wp_runtime *runtime);
void wp_docker_list(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                    void *ctx);

#endif
