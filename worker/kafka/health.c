/* Owns stats->kafka and the classes and explanations of librdkafka's errors. */
#include "kafka/health.h"
#include <stdio.h>
#include "core/log.h"

_Static_assert(WP_TROUBLES <= WP_STATS_TROUBLES, "core/stats.h has a text for every source");

/* The first source that has one; WP_TROUBLES: none. */
static int first_source(const struct wp_stats *stats) {
    int source = 0;
    while (source < WP_TROUBLES && !*stats->kafka_troubles[source]) source++;
    return source;
}

static void update(struct wp_stats *stats) {
    struct wp_health *health = &stats->kafka;
    int source = first_source(stats);
    const char *first = source == WP_TROUBLES ? "" : stats->kafka_troubles[source];
    bool ready = *first == '\0', was_ready = health->ready;
    if (ready == was_ready && strcmp(first, health->reason) == 0) return;
    health->ready = ready;
    (void)snprintf(health->reason, sizeof(health->reason), "%s", first);
    if (ready)
        wp_log(WP_LOG_INFO, "kafka_ready", "partitions=%d", stats->partitions);
    else
        wp_log(stats->kafka_starting & 1U << source ? WP_LOG_INFO : WP_LOG_WARN,
               was_ready ? "kafka_away" : "kafka_not_ready", "reason=%s", first);
}

void wp_kafka_trouble(struct wp_stats *stats, enum wp_trouble source, const char *reason) {
    char *text = stats->kafka_troubles[source];
    (void)snprintf(text, sizeof(stats->kafka_troubles[source]), "%s", reason ? reason : "");
    stats->kafka_starting &= ~(1U << source);
    update(stats);
}

void wp_kafka_starts(struct wp_stats *stats, enum wp_trouble source, const char *what) {
    (void)snprintf(stats->kafka_troubles[source], sizeof(stats->kafka_troubles[source]), "%s", what);
    stats->kafka_starting |= 1U << source;
    update(stats);
}

enum wp_fault wp_kafka_fault(rd_kafka_resp_err_t err) {
    switch (err) {
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return WP_FAULT_FENCED;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
    case RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return WP_FAULT_REFUSED;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        return WP_FAULT_CLIENT;
    default:
        return WP_FAULT_PASSING;
    }
}

bool wp_kafka_is_of_group(rd_kafka_resp_err_t err) {
    return err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           err == RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL ||
           err == RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT || err == RD_KAFKA_RESP_ERR_INVALID_GROUP_ID ||
           err == RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED;
}

/* OpenSSL's alerts are those of RFC 8446, section 6.2, as the other side sent them. */
static const struct mend {
    const char *part, *what;
} mends[] = {
    {"certificate verify failed", "Kafka's certificate is not of an authority in kafka.ssl.ca.location, or "
                                  "not for the host name by which the "
                                  "broker is reached"},
    {"SSL alert number",
     "Kafka does not take this client's certificate: set kafka.ssl.certificate.location and "
     "kafka.ssl.key.location to one of an authority that Kafka trusts"},
    {"incorrect security.protocol", "kafka.security.protocol is not that of Kafka's listener"},
    {"SASL authentication error", "Kafka does not take this user, or its token: mend kafka.sasl.*"},
    {"SASL mechanism", "mend kafka.sasl.mechanism"},
};

const char *wp_kafka_mend(const char *trouble) {
    for (size_t i = 0; i < sizeof mends / sizeof mends[0]; i++)
        if (strstr(trouble, mends[i].part)) return mends[i].what;
    return NULL;
}

static const char *setting(const struct wp_config *config, const char *key, const char *otherwise) {
    const char *value = wp_settings_get(&config->kafka, key);
    return value ? value : otherwise;
}

static const char *user_of(const struct wp_config *config) {
    return setting(config, "sasl.username", "the worker's user");
}

void wp_kafka_explain(char *text, size_t size, rd_kafka_resp_err_t err, const struct wp_config *config,
                      const char *topic) {
    const char *what = rd_kafka_err2str(err), *of = topic ? topic : "", *about = topic ? "topic " : "";
    const char *group = setting(config, "group.id", "warmpool");
    switch (err) {
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        (void)snprintf(text, size, "kafka.group.id %s: %s; allow %s READ on the group", group, what,
                       user_of(config));
        return;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        (void)snprintf(text, size,
                       "topic %s: %s; allow %s READ on the topics it reads and WRITE on those it "
                       "writes (topics.prefix)",
                       of, what, user_of(config));
        return;
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        (void)snprintf(text, size, "kafka.enable.idempotence: %s; allow %s IDEMPOTENT_WRITE on the cluster",
                       what, user_of(config));
        return;
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
        (void)snprintf(text, size,
                       "kafka.partition.assignment.strategy: %s; the members of group %s have no assignor in "
                       "common",
                       what, group);
        return;
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
        (void)snprintf(text, size,
                       "kafka.session.timeout.ms: %s; brokers take what lies between their "
                       "group.min.session.timeout.ms and group.max.session.timeout.ms, 6000 and 1800000 "
                       "unless they are set",
                       what);
        return;
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
        (void)snprintf(text, size, "kafka.group.id %s: %s; set another one", group, what);
        return;
    case RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED:
        (void)snprintf(text, size, "kafka.group.id %s: %s; raise the brokers' group.max.size", group, what);
        return;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        (void)snprintf(text, size,
                       "topic %s: %s; raise its max.message.bytes, or lower "
                       "kafka.message.max.bytes and start this worker again",
                       of, what);
        return;
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        (void)snprintf(
            text, size,
            "topic %s: %s; raise its message.timestamp.before.max.ms and message.timestamp.after.max.ms, "
            "or set the clocks of this machine and the broker by NTP",
            of, what);
        return;
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
        (void)snprintf(text, size, "topic %s: %s; set kafka.compression.type to one that the broker knows",
                       of, what);
        return;
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        (void)snprintf(text, size,
                       "topic %s: %s; the broker's own log says what is wrong: the topic's settings "
                       "(cleanup.policy, message.timestamp.*), or a check of records at the broker",
                       of, what);
        return;
    default:
        (void)snprintf(text, size, "%s%s%s%s", about, of, topic ? ": " : "", what);
    }
}
