/* Client configurations for librdkafka: our defaults, then kafka.* untouched. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include "kafka/conf.h"
#include "core/log.h"
#include "kafka/oauth.h"

#define DEFAULT_MESSAGE_BYTES 1000000 /* of librdkafka's message.max.bytes */

struct client_default {
    const char *key, *value; /* empty: it is left alone */
    int since; /* librdkafka's version that has it, as rd_kafka_version(); 0: all that we build with */
    const char *fixed; /* why a worker needs this value; NULL: kafka.* may set another one */
};

static const struct client_default both_defaults[] = {
    {"client.id", "warmpool", 0, NULL},
    {"log_level", "4", 0, NULL},
    {"log.queue", "false", 0, "a worker takes librdkafka's lines into its own log"},
    {"socket.nagle.disable", "true", 0, NULL},
    {"reconnect.backoff.max.ms", "500", 0, NULL},
    /* Readers and writers learn of new partitions within ten seconds. */
    {"topic.metadata.refresh.interval.ms", "5000", 0, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct client_default consumer_defaults[] = {
    {"group.id", "warmpool", 0, NULL},
    {"enable.auto.commit", "false", 0, "an offset is committed when its event is done"},
    {"enable.auto.offset.store", "false", 0, "an offset is committed when its event is done"},
    {"auto.offset.reset", "error", 0,
     "with another value records would be passed over without a word when a topic was made anew; `warmpool "
     "accept` lets such a topic begin again"},
    /* range gives the same members one partition more of every topic, so four workers get 12, 12, 6 and 6. It
     * is listed second so that workers with the older setting can be in the same group. cooperative-sticky of
     * librdkafka 2.0.2 loses assignments. */
    {"partition.assignment.strategy", "roundrobin,range", 0, NULL},
    {"group.protocol", "classic", 0x020400ff, "a worker sets its assignor and its session timeout itself"},
    {"session.timeout.ms", "10000", 0, NULL},
    {"heartbeat.interval.ms", "500", 0, NULL}, /* a member learns of a rebalance this late */
    /* An idle broker answers that many empty fetches, and partitions that are taken over wait for the one
     * that is under way. */
    {"fetch.wait.max.ms", "250", 0, NULL},
    {"fetch.error.backoff.ms", "50", 0, NULL},
    /* What is fetched and not yet taken of one partition: bounds memory, and what a restart reads again. */
    {"queued.min.messages", "2000", 0, NULL},
    {"queued.max.messages.kbytes", "512", 0, NULL},
    /* What a fetch may bring of one partition beyond that; a larger record comes alone. */
    {"fetch.message.max.bytes", "131072", 0, NULL},
    /* The default stops fetching for 1 s whenever that bound is reached. */
    {"fetch.queue.backoff.ms", "10", 0x020200ff, NULL},
    {NULL, NULL, 0, NULL},
};

static const struct client_default producer_defaults[] = {
    {"enable.idempotence", "true", 0, "without it answers could get lost, or overtake each other"},
    {"acks", "all", 0, NULL},
    {"delivery.report.only.error", "false", 0, "an event is done when Kafka has confirmed its answers"},
    {"transactional.id", "", 0, "a worker does not use Kafka's transactions"},
    /* With more, a record can be lost that was reported as delivered: a broker that has no record of this
     * producer in a partition (a topic was just made) refuses the first request because it does not lead yet,
     * takes the second one, and librdkafka concludes that it has the first one, too. */
    {"max.in.flight", "1", 0, NULL},
    /* A record takes 0.2 ms instead of 1.5 ms with linger 1. Records that come while a request is under way
     * are batched anyway. */
    {"linger.ms", "0", 0, NULL},
    /* When a broker is away for longer its records fail, and their partitions start again. */
    {"delivery.timeout.ms", "120000", 0, NULL},
    {"queue.buffering.max.messages", "200000", 0, NULL},
    /* Answers may be far larger than their requests: those to a window of gets could take a gigabyte. */
    {"queue.buffering.max.kbytes", "65536", 0, NULL},
    {"partitioner", "murmur2_random", 0, NULL}, /* the same partition for a key as Java's producer */
    {NULL, NULL, 0, NULL},
};

/* librdkafka's levels are those of syslog: the smallest number is the worst. A producer's id that it asks for
 * again it gets within a second of a cluster's first start; what lasts longer is told by the records that are
 * not taken. */
static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    bool id_again = strcmp(facility, "GETPID") == 0 && strstr(text, "retrying");
    enum wp_log_level ours = id_again     ? WP_LOG_DEBUG
                             : level <= 3 ? WP_LOG_ERROR
                             : level == 4 ? WP_LOG_WARN
                             : level <= 6 ? WP_LOG_INFO
                                          : WP_LOG_DEBUG;
    wp_log(ours, "kafka_client", "client=%s facility=%s text=%s", rd_kafka_name(rk), facility, text);
}

/* True when only the other kind of client has the property: librdkafka's table of properties says "name | C |
 * range | ...", with P for producer and C for consumer. */
static bool belongs_to_other(const char *table, const char *key, bool consumer) {
    size_t len = strlen(key);
    for (const char *line = table; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, key, len) != 0 || (line[len] != ' ' && line[len] != '|')) continue;
        const char *column = strchr(line, '|');
        if (!column) return false;
        column += 1 + strspn(column + 1, " ");
        return *column == (consumer ? 'P' : 'C');
    }
    return false;
}

static char *property_table(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    wp_assert(out);
    rd_kafka_conf_properties_show(out);
    (void)fclose(out);
    return text;
}

static enum wp_err set(rd_kafka_conf_t *conf, const char *key, const char *value, struct wp_error *error) {
    char why[256];
    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) == RD_KAFKA_CONF_OK) return WP_OK;
    return wp_fail(
        error, WP_ERR_CONFIG,
        "kafka.%s: %s. The properties are librdkafka's (version %s), named in its CONFIGURATION.md.", key,
        why, rd_kafka_version_str());
}

static enum wp_err set_defaults(rd_kafka_conf_t *conf, const struct client_default *defaults,
                                struct wp_error *error) {
    for (; defaults->key; defaults++) {
        if (rd_kafka_version() < defaults->since || !*defaults->value) continue;
        enum wp_err err = set(conf, defaults->key, defaults->value, error);
        if (err) return err;
    }
    return WP_OK;
}

static enum wp_err set_configured(rd_kafka_conf_t *conf, const struct wp_settings *settings, bool consumer,
                                  struct wp_error *error) {
    enum wp_err err = WP_OK;
    char *table = property_table();
    for (size_t i = 0; i < settings->count && !err; i++) {
        const struct wp_setting *setting = &settings->list[i];
        if (wp_oauth_takes(settings, setting->key)) continue;
        /* A property of the other kind is only checked: librdkafka would log a warning if this client had it.
         */
        if (belongs_to_other(table, setting->key, consumer)) {
            rd_kafka_conf_t *scratch = rd_kafka_conf_new();
            err = set(scratch, setting->key, setting->value, error);
            rd_kafka_conf_destroy(scratch);
        } else {
            err = set(conf, setting->key, setting->value, error);
        }
    }
    free(table);
    return err;
}

/* Looks at what librdkafka made of a value, since it knows several spellings. A property without a value is
 * as good as one that is empty. */
static enum wp_err check_fixed(const rd_kafka_conf_t *conf, const struct client_default *defaults,
                               struct wp_error *error) {
    for (; defaults->key; defaults++) {
        char value[64] = "";
        size_t size = sizeof(value);
        if (!defaults->fixed || rd_kafka_version() < defaults->since) continue;
        if (rd_kafka_conf_get(conf, defaults->key, value, &size) != RD_KAFKA_CONF_OK) continue;
        if (strcmp(value, defaults->value) == 0) continue;
        return wp_fail(error, WP_ERR_CONFIG,
                       "kafka.%s: a worker needs %s here, not %s: %s. Take it out of the configuration.",
                       defaults->key, *defaults->value ? defaults->value : "no value", value,
                       defaults->fixed);
    }
    return WP_OK;
}

/* The id by which the group knows a worker is also the one that two workers are told apart by. */
static enum wp_err check_instance_id(const struct wp_config *config, struct wp_error *error) {
    const char *id = wp_settings_get(&config->kafka, "group.instance.id");
    if (!id || (config->worker.id && strcmp(id, config->worker.id) == 0)) return WP_OK;
    return wp_fail(
        error, WP_ERR_CONFIG,
        "kafka.group.instance.id: set worker.id instead, by which workers also tell each other apart; "
        "it is handed on as this property.");
}

rd_kafka_conf_t *wp_kafka_conf(const struct wp_config *config, bool consumer, struct wp_error *error) {
    const struct client_default *own_defaults = consumer ? consumer_defaults : producer_defaults;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, log_line);
    enum wp_err err = set_defaults(conf, both_defaults, error);
    if (!err) err = set_defaults(conf, own_defaults, error);
    if (!err && consumer && config->worker.id && *config->worker.id)
        err = set(conf, "group.instance.id", config->worker.id, error);
    if (!err) err = set_configured(conf, &config->kafka, consumer, error);
    if (!err) err = wp_oauth_set(conf, &config->kafka, error);
    if (!err) err = check_fixed(conf, both_defaults, error);
    if (!err) err = check_fixed(conf, own_defaults, error);
    if (!err) err = check_instance_id(config, error);
    if (!err) return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

int64_t wp_kafka_message_max(const struct wp_config *config) {
    const char *value = wp_settings_get(&config->kafka, "message.max.bytes");
    return value ? strtoll(value, NULL, 10) : DEFAULT_MESSAGE_BYTES;
}
