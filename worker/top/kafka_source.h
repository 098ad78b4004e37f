/* Reads records for top: metrics, from a minute ago on, and while a pool is opened container-assignment.
 * Blocks; one thread. */
#ifndef WP_TOP_KAFKA_SOURCE_H
#define WP_TOP_KAFKA_SOURCE_H
#include "kafka/reader.h"
#include "top/news.h"
#include "registry/schemas.h"

struct top_kafka {
    const struct wp_config *config;    /* borrowed */
    struct wp_schemas schemas;         /* its wire is NULL before it is opened */
    struct wp_reader metrics, answers; /* answers.rk NULL: no pool is opened */
    char pool[TOP_NAME + 1];           /* the one for which answers are read */
};

/* Opens the reader of metrics, if it is not open. */
enum wp_err top_kafka_open(struct top_kafka *kafka, int timeout_ms, struct wp_error *error) WP_MUST_CHECK;
/* Opens the reader of answers for that pool, from ten minutes ago on; "": closes it. */
enum wp_err top_kafka_answers(struct top_kafka *kafka, const char *pool, int timeout_ms,
                              struct wp_error *error) WP_MUST_CHECK;
/* Posts what has come, waiting up to timeout_ms for the first record. Of answers that come faster than a
 * person could read, those in between are left out. */
void top_kafka_take(struct top_kafka *kafka, int timeout_ms, struct top_news *news);
/* Why no records come, a sentence; empty when nothing is known against it. */
void top_kafka_trouble(const struct top_kafka *kafka, char *out, size_t size);
void top_kafka_close(struct top_kafka *kafka);

#endif
