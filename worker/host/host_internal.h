/* Inside the host side: host.c (life, heartbeat, stop), commands.c (the consumer), reconcile.c (what should
 * be and what is), handout.c (between two agents), containers.c (the table, and what is said of each). One
 * thread: the loop's. */
#ifndef WP_HOST_HOST_INTERNAL_H
#define WP_HOST_HOST_INTERNAL_H
#include <librdkafka/rdkafka.h>
#include <uthash.h>
#include "host/host.h"

/*   CREATING -> READY -> ENDING -> OVER      each change by wp_held_set in containers.c
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
    uint64_t changed; /* host->changes when its state changed last */
    bool ask_again;   /* the step under way is not what Redis wants by now */
    bool unowned;     /* Redis does not know it: its end interests nobody */
    bool left_alone;  /* was said */
    bool unsaid;      /* its state could not be produced yet */
    bool seen;        /* in the runtime's list, then in the list of Redis, of the reconcile under way */
    UT_hash_handle hh;
};

struct asked { /* a container whose desired state is to be read */
    char *id;  /* owned */
    UT_hash_handle hh;
};

enum {
    FOLLOWED_MAX = 8
}; /* partitions of container-command that a host reads: one, and one more each time
      some were added */

struct commands {   /* the consumer of container-command */
    rd_kafka_t *rk; /* NULL until the topic's partitions are known */
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int32_t partitions; /* of the topic, when `followed` was looked at */
    int32_t followed[FOLLOWED_MAX];
    size_t followed_count;
    int wake_fd; /* -1 without a consumer */
    uv_poll_t poll;
    bool positioned; /* at the end of the log: from here on no command is missed */
};

struct wp_host {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed, as all of these */
    struct wp_stats *stats;
    struct wp_link *link;
    struct wp_producer *producer;
    struct wp_wire *wire;
    const struct wp_runtime_driver *driver;
    struct wp_runtime *runtime;
    char *claims; /* owned: the folder of its containers' claims, empty without one */
    struct commands commands;
    struct held *held;   /* by id */
    struct asked *asked; /* by id */
    uint64_t changes;    /* grows with each change of a container's state */
    uint64_t listed_at;  /* changes when the runtime was asked for its list */
    bool asking, reconciling, reconcile_again;
    bool listed; /* the runtime has said once what there is: no heartbeat before */
    void (*forgotten)(void *ctx);
    void *forgotten_ctx;
    bool up_wanted, up_unsaid, away_unsaid,
        down_unsaid; /* host_up after the next reconcile; records that could not be produced yet */
    bool away;       /* its runtime's engine is: nothing is made here */
    bool stopping, freed;
    uv_timer_t beat, interval, tick;
    int pins; /* handles and calls that hold this struct */
};

/* host.c */
void wp_host_unpin(struct wp_host *host);
void wp_host_beat(struct wp_host *host);

/* commands.c: opens the consumer once the number of partitions is known; serves its callbacks. Called on
 * every tick. */
void wp_commands_tick(struct wp_host *host);
void wp_commands_close(struct wp_host *host);

/* handout.c: what stands between an idle container and its next agent */
void wp_held_pause(struct wp_host *host, struct held *held);
void wp_held_bind(struct wp_host *host, struct held *held, struct wp_str number, struct wp_str claim);
void wp_held_reset(struct wp_host *host, struct held *held, struct wp_str number);
/* The step under way has ended so: PAUSED, RUNNING or RAN. */
void wp_held_step_over(struct wp_host *host, struct held *held, enum wp_container_state state);

/* containers.c */
struct held *wp_held_find(struct wp_host *host, struct wp_str id);
struct held *wp_held_add(struct wp_host *host, struct wp_str id, enum held_state state);
void wp_held_set(struct wp_host *host, struct held *held, enum held_state state);
void wp_held_over(struct wp_host *host, struct held *held, enum wp_container_state over,
                  struct wp_str detail);
void wp_held_drop(struct wp_host *host, struct held *held);
/* Publishes its state; again on later ticks when the producer does not take it now. */
void wp_held_say(struct wp_host *host, struct held *held);
bool wp_host_say(struct wp_host *host, const char *state, const char *detail);
void wp_host_say_unsaid(struct wp_host *host);

/* reconcile.c */
void wp_held_destroy(struct wp_host *host, struct held *held);
void wp_host_ask(struct wp_host *host, struct wp_str id); /* then wp_host_ask_now for all of them */
void wp_host_ask_now(struct wp_host *host);
void wp_host_reconcile(struct wp_host *host);
void wp_host_runtime_says(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                          struct wp_str detail);

#endif
