/* A consumer with a loop of its own, for tests: it notes what the consumer says, checks that offsets have no
 * hole and no repetition, and starts partitions by itself when asked to. */
#ifndef TESTS_BUS_READER_H
#define TESTS_BUS_READER_H
#include "support/loop.h"
#include "kafka/consumer.h"
#include "support/limits.h"

#define READER_PARTS 64

struct wp_tp { /* a partition, for tests that name one before it is assigned */
    enum wp_topic topic;
    int32_t partition;
};

struct reader_part {
    struct wp_consumer_partition base; /* first; as it was when it was revoked, afterwards */
    struct wp_tp tp;
    bool assigned, started, paused;
    int64_t expected; /* the next offset, -1: any */
    uint64_t messages;
};

struct reader {
    uv_loop_t *loop; /* several readers may share one */
    struct wp_config config;
    struct wp_stats stats;
    struct wp_consumer *consumer;
    bool manual;      /* partitions are asked about and started by the test */
    bool from_commit; /* started by itself: at the commit, if there is one, instead of the log's first offset
                       */
    struct reader_part parts[READER_PARTS];
    size_t part_count; /* ever seen */
    uint64_t messages, batches, queries, ends, restarts, revocations, out_of_range;
    int64_t wrong_offsets, unexpected; /* messages out of order; of partitions not started or paused */
    char query_error[256], out_of_range_why[256];
    uint64_t last_batch_messages;
    void (*on_message)(struct reader *reader, struct reader_part *part, const struct wp_record_in *record);
    bool commit_on_revoke;
    bool start_on_revoke;
};

/* A configuration for this broker, with a topic prefix and a group of their own made of `name`. */
void bus_config(struct wp_config *config, const char *bootstrap, const char *name);
/* Sends `count` records "0", "1", ... to one partition of a topic and waits until all are there. */
void bus_fill(const struct wp_config *config, enum wp_topic topic, int32_t partition, int count);

void reader_open(struct reader *reader, uv_loop_t *loop, const char *bootstrap, const char *name);
void reader_subscribe(struct reader *reader);
void reader_close(struct reader *reader); /* runs the loop until it is gone */
size_t reader_owned(const struct reader *reader);
struct reader_part *reader_part(struct reader *reader, struct wp_tp tp);
void reader_start(struct reader *reader, struct wp_tp tp, int64_t offset);
void reader_query(struct reader *reader, struct wp_tp tp);
void reader_commit(struct reader *reader, struct wp_tp tp, int64_t offset);

/* Runs the loop until the condition holds. The limit only ends a test that hangs. */
#define RUN_UNTIL(loop, condition)                                                                           \
    do {                                                                                                     \
        uint64_t end_ = uv_hrtime() + WAIT_LIMIT_S * UINT64_C(1000000000);                                   \
        bool holds_ = condition;                                                                             \
        while (!holds_ && uv_hrtime() < end_) {                                                              \
            loop_turn(loop);                                                                                 \
            holds_ = condition;                                                                              \
        }                                                                                                    \
        cr_assert(holds_, "waited %d s for: %s", WAIT_LIMIT_S, #condition);                                  \
    } while (0)

void bus_run_for(uv_loop_t *loop, int ms);

#endif
