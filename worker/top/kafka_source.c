/* The readers of records: see kafka_source.h. */
#include "top/kafka_source.h"
#include <stdio.h>
#include <string.h>
#include "core/clock.h"
#include "kafka/topic_open.h"

#define LEAST_TIME_MS INT64_C(1000000000000) /* a time in 2001: what is less is none */

enum {
    PAST_MS = 75000,       /* of metrics: a minute, and the interval before it */
    PAST_MOST = 200,       /* records of a partition */
    ANSWERS_MS = 600000,   /* of answers */
    FORGOTTEN_MS = 600000, /* what a worker said before is of no interest */
    TAKE_MOST = 500,       /* records at once */
    SKIP_MS = 100,
};

enum wp_err top_kafka_open(struct top_kafka *kafka, int timeout_ms, struct wp_error *error) {
    enum wp_err err = kafka->schemas.wire ? WP_OK : wp_schemas_open(&kafka->schemas, kafka->config, 0, error);
    if (err || kafka->metrics.rk) return err;
    return wp_reader_open_since(&kafka->metrics, kafka->config, WP_TOPIC_METRICS,
                                wp_clock_wall_ms() - PAST_MS, PAST_MOST, timeout_ms, error);
}

enum wp_err top_kafka_answers(struct top_kafka *kafka, const char *pool, int timeout_ms,
                              struct wp_error *error) {
    if (strcmp(pool, kafka->pool) != 0) wp_reader_close(&kafka->answers);
    snprintf(kafka->pool, sizeof kafka->pool, "%s", pool);
    if (!pool[0] || kafka->answers.rk) return WP_OK;
    return wp_reader_open_since(&kafka->answers, kafka->config, WP_TOPIC_ASSIGNMENT,
                                wp_clock_wall_ms() - ANSWERS_MS, PAST_MOST, timeout_ms, error);
}

/* When the record was published, ms since 1970: by Kafka; where that knows no time, as `warmpool broker`,
 * when it was made. */
static int64_t time_of(const rd_kafka_message_t *message, const json_t *record) {
    rd_kafka_timestamp_type_t type;
    int64_t at_ms = rd_kafka_message_timestamp(message, &type);
    if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && at_ms > LEAST_TIME_MS) return at_ms;
    at_ms = (int64_t)json_number_value(json_object_get(record, "timestamp_ms"));
    return at_ms > 0 ? at_ms : wp_clock_wall_ms();
}

/* A record that cannot be decoded is left out: it may be of another version. */
static void post(struct top_kafka *kafka, enum wp_topic topic, const rd_kafka_message_t *message,
                 struct top_news *news) {
    struct wp_buf text = {0};
    struct wp_error error;
    const struct wp_str bytes = {message->payload, message->len};
    json_t *record = NULL;
    if (message->payload && !wp_schemas_decode(&kafka->schemas, topic, bytes, &text, &error))
        record = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    wp_buf_done(&text);
    int64_t at_ms = time_of(message, record);
    bool is_metrics = topic == WP_TOPIC_METRICS;
    if (record && at_ms > wp_clock_wall_ms() - (is_metrics ? FORGOTTEN_MS : ANSWERS_MS))
        top_news_post(news, is_metrics ? TOP_NEWS_METRICS : TOP_NEWS_ASSIGNMENT, record, NULL, at_ms);
    else
        json_decref(record);
}

/* Returns true when there may be more. */
static bool take(struct top_kafka *kafka, struct wp_reader *reader, enum wp_topic topic, int timeout_ms,
                 struct top_news *news) {
    for (int i = 0; i < TAKE_MOST; i++) {
        rd_kafka_message_t *message = wp_reader_next(reader, i == 0 ? timeout_ms : 0);
        if (!message) return false;
        post(kafka, topic, message, news);
        rd_kafka_message_destroy(message);
    }
    return true;
}

void top_kafka_take(struct top_kafka *kafka, int timeout_ms, struct top_news *news) {
    if (kafka->answers.rk && take(kafka, &kafka->answers, WP_TOPIC_ASSIGNMENT, 0, news))
        wp_reader_skip(&kafka->answers, PAST_MOST, SKIP_MS);
    if (kafka->metrics.rk) (void)take(kafka, &kafka->metrics, WP_TOPIC_METRICS, timeout_ms, news);
}

void top_kafka_trouble(const struct top_kafka *kafka, char *out, size_t size) {
    out[0] = '\0';
    if (kafka->metrics.trouble[0])
        snprintf(out, size, "Kafka at %s is away: %s", wp_kafka_brokers(kafka->config),
                 kafka->metrics.trouble);
}

void top_kafka_close(struct top_kafka *kafka) {
    wp_reader_close(&kafka->metrics);
    wp_reader_close(&kafka->answers);
    wp_schemas_close(&kafka->schemas);
}
