/* Reads the topics that a recovery needs, container-acquire, -assignment and -release: each partition from
 * its first record to its present end, the oldest records of all first. The loop's thread, which never waits:
 * what blocks runs in its thread pool. */
#ifndef WP_PIPELINE_RECOVER_LOGS_H
#define WP_PIPELINE_RECOVER_LOGS_H
#include <librdkafka/rdkafka.h>
#include <uv.h>
#include "core/config.h"
#include "wire/topics.h"

struct recover_logs;

/* Called once Kafka has listed the partitions, or with an error: why it has not, after 2 s at most each
 * topic. */
typedef void (*recover_logs_opened)(void *ctx, const char *error);
/* Fails when kafka.* is wrong. */
enum wp_err recover_logs_open(struct recover_logs **ret_logs, uv_loop_t *loop, const struct wp_config *config,
                              recover_logs_opened opened, void *ctx, struct wp_error *error) WP_MUST_CHECK;
/* Frees it when what runs in the thread pool has ended. Nothing is called any more. NULL is fine. */
void recover_logs_close(struct recover_logs *logs);

/* at_ms: the record's time, by the broker. False: it cannot be taken yet, and is handed over again. */
typedef bool (*recover_logs_take)(void *ctx, enum wp_topic topic, const rd_kafka_message_t *message,
                                  int64_t at_ms);
/* Takes records that have come, without waiting, up to one that cannot be taken yet. True when all partitions
 * were read to their ends. */
bool recover_logs_read(struct recover_logs *logs, recover_logs_take take, void *ctx);

/* All records before this time were taken, ms. */
int64_t recover_logs_read_until_ms(const struct recover_logs *logs);
/* Since this time no record of container-assignment was deleted, ms; 0: none ever was. */
int64_t recover_logs_covered_ms(const struct recover_logs *logs);

#endif
