/* A worker's figures about itself: written where the events happen, read by ops/. One thread: the loop's.
 * Counters only grow while the process lives. */
#ifndef WP_CORE_STATS_H
#define WP_CORE_STATS_H
#include <stdbool.h>
#include <stdint.h>
#include "core/append_clock.h"
#include "core/ends.h"
#include "core/histogram.h"

enum wp_outcome {               /* of one consumed event */
                  WP_DONE_OK,   /* applied, its records delivered */
                  WP_DONE_DEAD, /* sent to dead-letter */
                  WP_OUTCOMES,
};

#define WP_STATS_TOPICS 16 /* >= WP_TOPICS of wire/topics.h; indexes are enum wp_topic */

#define WP_STATS_IMAGES 8 /* missing images that are named; others are counted */

struct wp_image_lack {        /* an image that the host's engine has not got */
    char subject[72];         /* the first philosophy whose image it is, or "docker.image" */
    char why[560], mend[500]; /* two sentences without their stops: what is known of it, what to do */
};

#define WP_STATS_TROUBLES 8 /* >= WP_TROUBLES of kafka/health.h */

struct wp_health {
    bool ready;
    char reason[512]; /* why not, one sentence; empty when ready */
};

struct wp_stats {
    uint64_t events[WP_STATS_TOPICS][WP_OUTCOMES];
    uint64_t records[WP_STATS_TOPICS]; /* delivered to each output topic */
    int64_t lag[WP_STATS_TOPICS];      /* of the partitions this worker owns: log end minus position */
    uint64_t assigned, rejected, lost; /* answers published by this worker */
    struct wp_histogram
        acquire_to_assignment; /* us from taking the record to the confirmed delivery of its answer */
    uint64_t redis_calls, redis_errors, redis_reconnects, redis_gaps, partition_restarts;
    uint64_t produce_errors, producer_rebuilds;
    struct wp_histogram redis_call;       /* us, send to reply */
    struct wp_append_clock append_clock;  /* the broker's clock, as its append times show it */
    struct wp_append_clock redis_clock;   /* the {pool} slot's clock, as its TIME shows it */
    unsigned settings_differ;             /* bit of each slot that uses another worker's settings */
    char settings_owner[128];             /* that worker, when settings_differ is not 0 */
    int64_t started_us;                   /* wp_clock_us() at start */
    int partitions;                       /* input partitions owned now */
    struct wp_health kafka, redis, state; /* state: Redis has the state that Kafka's commits refer to */
    char host_not_ready[512];    /* why its host can make no containers; empty: it can, or it is none */
    uint64_t ended[WP_ENDS + 1]; /* ready containers of its host that ended by themselves; the last: for
                                    another reason */
    uint64_t out_of_memory;      /* processes in them that the kernel ended at a memory limit */
    struct wp_image_lack images_missing[WP_STATS_IMAGES]; /* of its host */
    uint64_t images_missing_count, images_pulling, image_pull_bytes, image_pull_failures;
    char name_in_use[512];   /* which live worker has this one's worker.id or host.name; empty: none */
    unsigned kafka_starting; /* a bit for each of kafka_troubles: every worker waits for it at its start */
    uint64_t registry_requests, registry_failures; /* of the schema registry; failures: no schema, and no
                                                      clear no */
    uint64_t registry_refused;                     /* ids whose messages cannot be read */
    uint64_t registry_schemas;                     /* kept now */
    uint64_t registry_waiting;                     /* partitions that wait for a schema */
    char registry_away[512];      /* why it gives no answers; empty: it does, or was not asked */
    char registry_not_ready[512]; /* why the ids to write with are not known; empty: they are */
    char kafka_troubles[WP_STATS_TROUBLES]
                       [512]; /* by source, kafka/health.h; the first one is kafka's reason */
    uint64_t optimizer_rounds, optimizer_failures;          /* gc_collections in the documented structure */
    double memory_released_mb;                              /* sum over all rounds */
    uint64_t trace_exported, trace_dropped, trace_failures; /* spans, spans, requests to the collector */
};

#endif
