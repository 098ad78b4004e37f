/* One assigned partition of an input topic: its window of events, its chain of calls, its floor. Internal to
 * pipeline/.
 *
 * An event's way: QUEUED -> SENT (in a call) -> ANSWERED (its records are on their way) -> DONE. A call that
 * failed puts its events back to QUEUED. A partition that starts again forgets its window; reports about
 * forgotten events free them. */
#ifndef WP_PIPELINE_PARTITION_H
#define WP_PIPELINE_PARTITION_H
#include "pipeline/pipeline.h"

enum { PARTITION_RETRY_MS = 20 }; /* the first wait after a refusal; it doubles */

enum event_state { EVENT_QUEUED, EVENT_SENT, EVENT_ANSWERED, EVENT_DONE };

struct event {
    struct partition *partition; /* NULL: forgotten */
    struct wp_record_in *record; /* owned until it is done */
    int64_t offset, read_us;
    enum event_state state;
    unsigned outstanding; /* records not confirmed yet */
    unsigned attempts;    /* calls that failed on this event (rule 8) */
    bool dead, answered;  /* went to dead-letter; carried an assignment */
};

enum partition_state {
    PARTITION_LOOKING, /* asking Kafka and Redis where to begin */
    PARTITION_RUNNING,
    PARTITION_BLOCKED, /* cannot begin: `reason`; looked at again every few seconds */
    PARTITION_GONE,    /* revoked; freed with its last call */
};

struct partition {
    struct wp_consumer_partition base; /* first: the consumer's side of it */
    struct wp_pipeline *pipeline;
    struct partition *next;
    const struct wp_handler *handler;
    char *name; /* "<cluster>/<topic>/<n>", as Redis knows it */
    enum partition_state state;
    unsigned epoch; /* grows with each start: late replies of an older one are ignored */
    char reason[512];

    struct event **window; /* ring of owned events in offset order */
    size_t first, count, capacity;
    size_t unsent; /* index from first of the first QUEUED event */

    int64_t generation;  /* how often it was accepted anew: the slot refuses calls of another */
    int64_t acked, sent; /* last offset acknowledged by the slot, last one sent to it */
    int64_t floor,
        floor_acked; /* completed prefix (first offset not finished); what the slot has acknowledged of it */
    int calls;       /* under way */
    int references;  /* calls of any kind that hold a pointer to this */
    bool dirty;      /* a call failed: drain, then send again from `acked` */
    bool paused;     /* the window is full */
    int64_t single_until; /* after a function error: one event a call up to this offset (rule 8) */
    int64_t look_at_us;   /* LOOKING and BLOCKED: when to look (again); 0 = the answer is awaited */
    int64_t retry_at_us;  /* not before (backoff after transient refusals) */
    int retry_ms;
};

struct partition *partition_new(struct wp_pipeline *pipeline, enum wp_topic topic);
void partition_take(struct partition *p, struct wp_record_in *record); /* takes the record */
void partition_end_reached(struct partition *p); /* nothing is left to read before base.position */
void partition_event_done(struct event *event);  /* its last record is confirmed */
void partition_forget(struct partition *p);      /* drops the window and starts a new epoch */
void partition_restart(struct partition *p, const char *why); /* forget, then begin by rule 6 */
/* The sent events from first to last are answered: those without a record are done. */
void partition_answered(struct partition *p, int64_t first, int64_t last);
void partition_release(struct partition *p); /* one reference less; frees a GONE one without */
struct event *partition_find(const struct partition *p, int64_t offset);
static inline struct event *partition_at(const struct partition *p, size_t i) {
    return p->window[(p->first + i) % p->capacity];
}

/* start.c: rule 6. */
void partition_look(struct partition *p);
void partition_looked(struct partition *p);
void partition_block(struct partition *p, const char *format, ...) WP_PRINTF(2, 3);

#endif
