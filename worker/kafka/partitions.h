/* The table of the partitions that are assigned to a consumer. The other consumer files of kafka/ call it; it
 * calls none of them but the wakeup. The loop's thread. */
#ifndef WP_KAFKA_PARTITIONS_H
#define WP_KAFKA_PARTITIONS_H
#include <librdkafka/rdkafka.h>
#include "kafka/record_in.h"
#include "kafka/wakeup.h"
#include "wire/topics.h"

/* assigned -> starting (a seek is under way, or refused and tried again) -> running -> broken (its offset
 * does not exist) -> starting. Revoked comes from any of them, and is the end. Only wp_partition_set_state
 * changes it. */
enum wp_partition_state {
    WP_PARTITION_ASSIGNED,
    WP_PARTITION_STARTING,
    WP_PARTITION_RUNNING,
    WP_PARTITION_BROKEN,
    WP_PARTITION_REVOKED,
};

/* Taken from a partition's fetch queue: a record, or an error at an offset. */
struct wp_taken {
    struct wp_record_in *record; /* owned; NULL: an error */
    rd_kafka_resp_err_t err;
    int64_t offset;
};

/* An assigned partition. The user embeds it and owns the memory; it may read the fields above "private", and
 * only the consumer changes them. */
struct wp_consumer_partition {
    enum wp_topic topic;
    int32_t number;

    /* From the latest offset query; -1: not known, or there is none. */
    int64_t committed; /* the group's commit; also a later one of ours that Kafka has confirmed */
    int64_t low, high; /* the first offset in the log, and the one after the last */
    /* The next offset: the one after the last record that was handed over, or the log's end when that was
     * reached (control records and aborted transactions have offsets, too). -1 before a start. */
    int64_t position;
    bool paused;     /* by wp_consumer_pause */
    bool committing; /* a commit is under way */
    enum wp_partition_state state;
    /* The latest error of this partition alone (no leader, no right to read it); empty: none. */
    char trouble[200];

    /* private */
    uint64_t assignment;     /* this assignment's number: late answers carry an older one */
    rd_kafka_queue_t *queue; /* its fetch queue, not forwarded; it is not drained while `paused` */
    bool fetching;           /* resumed in librdkafka; resuming twice would replay what was prefetched */
    bool stopped;          /* librdkafka gave up on the offset: only a new assignment makes it fetch again */
    uint64_t starts;       /* a start while records are handed over makes the rest of them stale */
    int64_t start;         /* where the latest start began */
    struct wp_taken *held; /* taken but not handed over yet: the handler paused in the middle of a batch */
    size_t held_count, held_capacity;
};

struct wp_partitions {
    rd_kafka_t *rk;            /* borrowed */
    char *names[WP_TOPICS_IN]; /* full names of the topics, owned */
    struct wp_consumer_partition **list;
    size_t count, capacity;
    uint64_t assignments;
};

void wp_partitions_init(struct wp_partitions *table, const struct wp_config *config);
void wp_partitions_done(struct wp_partitions *table); /* the table must be empty */

/* Sets all fields, takes the partition's fetch queue out of the client's; it wakes the loop when it fills. */
void wp_partitions_add(struct wp_partitions *table, struct wp_consumer_partition *p, enum wp_topic topic,
                       int32_t number, const struct wp_wakeup *wakeup);
/* Frees all that the consumer had of it; p is its owner's alone afterwards. */
void wp_partitions_remove(struct wp_partitions *table, struct wp_consumer_partition *p);
/* NULL: not assigned. */
struct wp_consumer_partition *wp_partitions_find(const struct wp_partitions *table, enum wp_topic topic,
                                                 int32_t number);
/* True while p is still assigned by this assignment. p may be a freed pointer. */
bool wp_partitions_has(const struct wp_partitions *table, const struct wp_consumer_partition *p,
                       uint64_t assignment);
/* WP_TOPICS when the name is none of ours. */
enum wp_topic wp_partitions_topic(const struct wp_partitions *table, const char *full_name);

void wp_partition_set_state(struct wp_consumer_partition *p, enum wp_partition_state state);
void wp_partition_hold(struct wp_consumer_partition *p, const struct wp_taken *list, size_t count);
void wp_partition_drop_held(struct wp_consumer_partition *p);

/* Adds the partition with this offset to a list for librdkafka. */
rd_kafka_topic_partition_t *wp_partitions_list_add(const struct wp_partitions *table,
                                                   rd_kafka_topic_partition_list_t *list,
                                                   const struct wp_consumer_partition *p, int64_t offset);

#endif
