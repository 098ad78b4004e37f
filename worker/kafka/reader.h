/* A reader of whole topics that is in no consumer group. It blocks; one thread. A missing topic is an error,
 * so that a misspelled name does not create a topic. */
#ifndef WP_KAFKA_READER_H
#define WP_KAFKA_READER_H
#include <librdkafka/rdkafka.h>
#include "wire/topics.h"

enum wp_reader_start { WP_READ_FROM_BEGINNING, WP_READ_FROM_END };

struct wp_reader {
    rd_kafka_t *rk;                          /* owned */
    char *names[WP_TOPICS];                  /* owned; NULL: not read */
    rd_kafka_topic_partition_list_t *unread; /* owned: partitions whose end was not reached yet */
    char trouble[256]; /* why nothing can come at present; empty: nothing is known against it */
};

/* While it is open, *reader stays where it is.
 * Reads every partition from its beginning or from its current end: records that are published after this
 * returns are read. */
enum wp_err wp_reader_open(struct wp_reader *reader, const struct wp_config *config,
                           const enum wp_topic *topics, size_t count, enum wp_reader_start start,
                           int timeout_ms, struct wp_error *error) WP_MUST_CHECK;
/* Reads one topic from the first record that is not older than since_ms (ms since 1970, by the records'
 * timestamps) in each partition, but never more than the last `most`; of a partition without such a record
 * the last `most`, which are older. */
enum wp_err wp_reader_open_since(struct wp_reader *reader, const struct wp_config *config,
                                 enum wp_topic topic, int64_t since_ms, int64_t most, int timeout_ms,
                                 struct wp_error *error) WP_MUST_CHECK;
/* In each partition of which more than `most` records are still to be read: goes on with the last `most`. */
void wp_reader_skip(struct wp_reader *reader, int64_t most, int timeout_ms);
/* The next record, which the caller frees (rd_kafka_message_destroy). NULL when none came in time; sooner at
 * the end of a partition and after an error. */
rd_kafka_message_t *wp_reader_next(struct wp_reader *reader, int timeout_ms);
enum wp_topic wp_reader_topic(const struct wp_reader *reader, const rd_kafka_message_t *message);
/* True when every partition's end has been reached once. */
bool wp_reader_caught_up(const struct wp_reader *reader);
void wp_reader_close(struct wp_reader *reader); /* zero-initialised is fine */

#endif
