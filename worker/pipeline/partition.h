/* An assigned partition of an input topic: Kafka's side of it (the base), its delivery rules (delivery/), and
 * the items that are in its window. The loop's thread. */
#ifndef WP_PIPELINE_PARTITION_H
#define WP_PIPELINE_PARTITION_H
#include "delivery/delivery.h"
#include "pipeline/context.h"
#include "pipeline/item_trace.h"
#include "pipeline/topic_table.h"

struct partition {
    struct wp_consumer_partition base; /* first: the consumer's side */
    const struct pipeline_context *context;
    struct partition *next; /* of the pipeline's list */
    const struct topic_row *row;
    struct wp_delivery
        *delivery;    /* NULL: revoked; the partition is freed when the last reference is released */
    char *name;       /* "<cluster>/<topic>/<number>", as Redis knows it; NULL until the cluster is known */
    int64_t accepted; /* the slot's generation of it: the slot refuses calls that carry another one */
    int unknown;      /* how often in a row Kafka did not tell where the log begins and ends */
    bool waits_for_schema; /* its next event cannot be decoded before a schema was looked up */
    bool slot_is_full;     /* the latest call was refused for want of memory in Redis */
    int64_t end;           /* the log's end when it was last reached; -1: not reached yet */
    int64_t commit_asked;  /* the commit that has no answer yet; -1: none */
    unsigned commit_generation;
    unsigned references; /* of the list, calls under way and records that are not confirmed */
};

/* An event in the window. It is also the token of the records that answer it. */
struct item {
    struct partition *partition;
    struct wp_record_in *record; /* NULL once the event has left the window */
    int64_t offset;
    int64_t read_us; /* wp_clock_us() when it was taken */
    unsigned generation;
    unsigned references;      /* of the window, and of records that are not confirmed */
    bool answers;             /* one of its records is an acquire's answer */
    struct item_trace *trace; /* owned; NULL: nothing of it is traced */
};

struct partition *partition_new(const struct pipeline_context *context, enum wp_topic topic,
                                struct wp_delivery_budget *budget);
void partition_retire(struct partition *p); /* it was revoked: later answers about it are ignored */
void partition_hold(struct partition *p);
void partition_release(struct partition *p);

void partition_take(struct partition *p, struct wp_record_in *record); /* takes the record */
/* A record of the item is on its way to Kafka: one more reference. */
void item_hold(struct item *item);
/* Kafka has confirmed a record of the item (ok), or it could not be delivered. Releases the reference. True:
 * the partition starts again because of it. */
bool item_delivered(struct item *item, bool ok);
/* Keeps the count of partitions that wait, and logs that one begins to. */
void partition_wait_for_schema(struct partition *p, bool waits);
/* Forgets the window and begins again by rule 6. */
void partition_restart(struct partition *p, const char *why);
/* Logs and counts a restart that the delivery core has decided itself. */
void partition_restarted(struct partition *p, const char *why);

#endif
