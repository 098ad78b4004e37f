/* Opens a topic: see topic_open.h. */
#include "kafka/topic_open.h"
#include "core/err.h"
#include "kafka/oauth.h"

enum { JUST_MADE_MS = 2000, ASK_AGAIN_MS = 100 };

const char *wp_kafka_brokers(const struct wp_config *config) {
    const char *list = wp_settings_get(&config->kafka, "bootstrap.servers");
    return list ? list : "(none)";
}

static enum wp_err ask_partitions(rd_kafka_t *rk, const struct wp_config *config, rd_kafka_topic_t *topic,
                                  int timeout_ms, int *ret_partitions, struct wp_error *error) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, topic, &metadata, timeout_ms);
    char token[300];
    wp_oauth_failure(token, sizeof token);
    if (err && *token)
        return wp_fail(error, WP_ERR_KAFKA, "no token for Kafka at %s: %s", wp_kafka_brokers(config), token);
    if (err)
        return wp_fail(error, WP_ERR_KAFKA,
                       "Kafka at %s does not answer (%s); start it or mend kafka.bootstrap.servers",
                       wp_kafka_brokers(config), rd_kafka_err2str(err));
    bool found = metadata->topic_cnt == 1 && !metadata->topics[0].err;
    *ret_partitions = found ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    return WP_OK;
}

enum wp_err wp_topic_open(rd_kafka_t *rk, const struct wp_config *config, const char *name, int timeout_ms,
                          rd_kafka_topic_t **ret_topic, int *ret_partitions, struct wp_error *error) {
    *ret_topic = rd_kafka_topic_new(rk, name, NULL);
    for (int waited = 0;; waited += ASK_AGAIN_MS) {
        enum wp_err err = ask_partitions(rk, config, *ret_topic, timeout_ms, ret_partitions, error);
        if (err || *ret_partitions > 0) return err;
        if (waited >= JUST_MADE_MS) break;
        rd_kafka_poll(rk, ASK_AGAIN_MS);
    }
    return wp_fail(error, WP_ERR_KAFKA,
                   "the topic %s does not exist on %s; start a worker, which makes missing topics", name,
                   wp_kafka_brokers(config));
}
