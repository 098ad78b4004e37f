/* A short-lived client that lists topics, makes missing ones and ends. Blocks; for start-up and `check`. */
#include <stdio.h>
#include <stdlib.h>
#include "kafka/admin.h"
#include "core/clock.h"
#include "core/log.h"
#include "kafka/client.h"
#include "kafka/health.h"
#include "kafka/oauth.h"

#define REASON_MAX 256
#define LIST_AGAIN_MS 20
#define LIMIT_MS 1000   /* librdkafka's mock broker never answers DescribeConfigs */
#define BATCH_BYTES 100 /* max.message.bytes counts a batch with its header, which takes this much */

struct admin {
    rd_kafka_t *rk;
    const char *brokers;      /* borrowed from the configuration */
    char trouble[REASON_MAX]; /* the latest connection error */
};

static void note_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    (void)rk;
    struct admin *admin = opaque;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && *admin->trouble) return;
    (void)snprintf(admin->trouble, sizeof(admin->trouble), "%s", reason);
}

static void close_client(struct admin *admin) {
    rd_kafka_destroy(admin->rk);
}

/* A consumer that subscribes to nothing: it joins no group, and needs no producer's id. */
static enum wp_err open_client(struct admin *admin, const struct wp_config *config, struct wp_error *error) {
    const char *brokers = wp_settings_get(&config->kafka, "bootstrap.servers");
    const struct wp_client_options options = {.opaque = admin, .on_error = note_error};
    *admin = (struct admin){.brokers = brokers ? brokers : ""};
    admin->rk = wp_client_make(config, WP_CLIENT_ADMIN, &options, error);
    return admin->rk ? WP_OK : WP_ERR_CONFIG;
}

static enum wp_err unreachable(struct admin *admin, rd_kafka_resp_err_t err, int timeout_ms,
                               struct wp_error *error) {
    char token[REASON_MAX * 2];
    rd_kafka_poll(admin->rk, 0); /* brings the connection errors */
    wp_oauth_failure(token, sizeof token);
    if (*token) return wp_fail(error, WP_ERR_KAFKA, "no token for Kafka at %s: %s", admin->brokers, token);
    const char *why = *admin->trouble ? admin->trouble : rd_kafka_err2str(err), *mend = wp_kafka_mend(why);
    return wp_fail(error, WP_ERR_KAFKA, "No Kafka broker answered at %s within %d ms (%.230s). %s",
                   admin->brokers, timeout_ms, why,
                   mend ? mend : "Is it running, and is kafka.bootstrap.servers right?");
}

/* Lists all topics: asking for one by name would create it on a broker with auto.create.topics.enable. */
static enum wp_err list_missing(struct admin *admin, const struct wp_config *config, int timeout_ms,
                                bool *ret_missing, struct wp_error *error) {
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(admin->rk, 1, NULL, &metadata, timeout_ms);
    if (err) return unreachable(admin, err, timeout_ms, error);
    for (int t = 0; t < WP_TOPICS; t++) {
        char *name = wp_topic_full_name(config, (enum wp_topic)t);
        ret_missing[t] = true;
        for (int i = 0; i < metadata->topic_cnt && ret_missing[t]; i++)
            ret_missing[t] = strcmp(metadata->topics[i].topic, name) != 0;
        free(name);
    }
    rd_kafka_metadata_destroy(metadata);
    return WP_OK;
}

static rd_kafka_NewTopic_t *new_topic(const struct wp_config *config, enum wp_topic topic) {
    char *name = wp_topic_full_name(config, topic);
    char why[REASON_MAX];
    int replication = config->topics.replication > 0 ? (int)config->topics.replication : -1;
    rd_kafka_NewTopic_t *made =
        rd_kafka_NewTopic_new(name, (int)config->topics.partitions, replication, why, sizeof(why));
    free(name);
    if (!made) return NULL;
    /* LogAppendTime: timeouts count from when the broker took a record, whatever the clock of its producer.
     * (The call fails only for NULL arguments.) */
    if (wp_topics[topic].log_append_time)
        (void)rd_kafka_NewTopic_set_config(made, "message.timestamp.type", "LogAppendTime");
    if (wp_topics[topic].compacted) (void)rd_kafka_NewTopic_set_config(made, "cleanup.policy", "compact");
    return made;
}

static enum wp_err check_results(rd_kafka_event_t *event, struct wp_error *error) {
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
        const char *name = rd_kafka_topic_result_name(results[i]),
                   *why = rd_kafka_topic_result_error_string(results[i]);
        if (err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue; /* another worker was faster */
        if (err)
            return wp_fail(
                error, WP_ERR_KAFKA,
                "Kafka did not make the topic %s: %s. Make it by hand, or mend topics.partitions and "
                "topics.replication.",
                name, why ? why : rd_kafka_err2str(err));
        wp_log(WP_LOG_INFO, "topic_created", "topic=%s", name);
    }
    return WP_OK;
}

static enum wp_err create(struct admin *admin, rd_kafka_NewTopic_t **list, size_t count, int timeout_ms,
                          struct wp_error *error) {
    char why[REASON_MAX];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin->rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof(why));
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, why, sizeof(why));
    rd_kafka_CreateTopics(admin->rk, list, count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    enum wp_err err;
    if (!event)
        err = unreachable(admin, RD_KAFKA_RESP_ERR__TIMED_OUT, timeout_ms, error);
    else if (rd_kafka_event_error(event))
        err = wp_fail(error, WP_ERR_KAFKA, "Kafka at %s did not make the missing topics: %s", admin->brokers,
                      rd_kafka_event_error_string(event));
    else
        err = check_results(event, error);
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    return err;
}

static enum wp_err create_missing(struct admin *admin, const struct wp_config *config, const bool *missing,
                                  int timeout_ms, struct wp_error *error) {
    rd_kafka_NewTopic_t *list[WP_TOPICS];
    size_t count = 0;
    enum wp_err err = WP_OK;
    for (int t = 0; t < WP_TOPICS && !err; t++) {
        if (!missing[t]) continue;
        list[count] = new_topic(config, (enum wp_topic)t);
        if (!list[count])
            err = wp_fail(error, WP_ERR_CONFIG,
                          "topics.prefix, topics.partitions or topics.replication cannot be used for %s.",
                          wp_topics[t].name);
        else
            count++;
    }
    if (!err) err = create(admin, list, count, timeout_ms, error);
    rd_kafka_NewTopic_destroy_array(list, count);
    return err;
}

static bool any(const bool *missing) {
    for (int t = 0; t < WP_TOPICS; t++) {
        if (missing[t]) return true;
    }
    return false;
}

/* The controller has made the topics, but the brokers learn of it a moment later: until then clients would
 * get "unknown topic". */
static enum wp_err wait_until_known(struct admin *admin, const struct wp_config *config, int timeout_ms,
                                    struct wp_error *error) {
    int64_t end_us = wp_clock_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        bool missing[WP_TOPICS] = {false};
        enum wp_err err = list_missing(admin, config, timeout_ms, missing, error);
        if (err || !any(missing)) return err;
        if (wp_clock_us() > end_us)
            return wp_fail(error, WP_ERR_KAFKA,
                           "Kafka at %s made the missing topics but does not list them after %d ms.",
                           admin->brokers, timeout_ms);
        rd_kafka_poll(admin->rk, LIST_AGAIN_MS);
    }
}

enum wp_err wp_admin_ensure_topics(const struct wp_config *config, int timeout_ms, struct wp_error *error) {
    struct admin admin;
    enum wp_err err = open_client(&admin, config, error);
    if (err) return err;
    bool missing[WP_TOPICS] = {false};
    err = list_missing(&admin, config, timeout_ms, missing, error);
    if (!err && any(missing)) {
        err = create_missing(&admin, config, missing, timeout_ms, error);
        if (!err) err = wait_until_known(&admin, config, timeout_ms, error);
    }
    close_client(&admin);
    return err;
}

static char *names_of(const struct wp_config *config, const bool *missing) {
    struct wp_buf text = {0};
    for (int t = 0; t < WP_TOPICS; t++) {
        if (!missing[t]) continue;
        char *name = wp_topic_full_name(config, (enum wp_topic)t);
        wp_buf_printf(&text, "%s%s", text.len > 0 ? "," : "", name);
        free(name);
    }
    char *names = wp_strndup(wp_buf_str(&text));
    wp_buf_done(&text);
    return names;
}

enum wp_err wp_admin_check(const struct wp_config *config, int timeout_ms, char **ret_cluster_id,
                           char **ret_missing, struct wp_error *error) {
    struct admin admin;
    enum wp_err err = open_client(&admin, config, error);
    if (err) return err;
    bool missing[WP_TOPICS] = {false};
    err = list_missing(&admin, config, timeout_ms, missing, error);
    if (!err) {
        char *id = rd_kafka_clusterid(admin.rk, timeout_ms); /* in the metadata that has just come */
        *ret_cluster_id = wp_strdup(id ? id : "");
        rd_kafka_mem_free(admin.rk, id);
        *ret_missing = names_of(config, missing);
    }
    close_client(&admin);
    return err;
}

/* ---- settings of topics ---- */

static const char *setting_of(const rd_kafka_ConfigResource_t *resource, const char *name) {
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

typedef void (*each_topic)(void *ctx, const rd_kafka_ConfigResource_t *resource);

static void tell_each(rd_kafka_event_t *event, each_topic each, void *ctx) {
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    for (size_t i = 0; i < count; i++)
        if (!rd_kafka_ConfigResource_error(resources[i])) each(ctx, resources[i]);
}

/* Asks for the settings of the topics from `first` to before `end`, and calls `each` for those that Kafka
 * describes within a second. */
static enum wp_err describe_topics(const struct wp_config *config, int first, int end, each_topic each,
                                   void *ctx, struct wp_error *error) {
    struct admin admin;
    rd_kafka_ConfigResource_t *list[WP_TOPICS];
    size_t count = 0;
    char why[REASON_MAX];
    enum wp_err err = open_client(&admin, config, error);
    if (err) return err;
    for (int t = first; t < end; t++) {
        char *name = wp_topic_full_name(config, (enum wp_topic)t);
        list[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
        free(name);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin.rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin.rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, LIMIT_MS, why, sizeof(why));
    rd_kafka_DescribeConfigs(admin.rk, list, count, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * LIMIT_MS);
    if (event && !rd_kafka_event_error(event)) tell_each(event, each, ctx);
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy_array(list, count);
    close_client(&admin);
    return WP_OK;
}

struct least { /* the smallest limit seen, and its topic */
    int64_t *bytes;
    char **topic;
};

static void note_limit(void *ctx, const rd_kafka_ConfigResource_t *resource) {
    const struct least *least = ctx;
    const char *value = setting_of(resource, "max.message.bytes");
    int64_t bytes = value ? strtoll(value, NULL, 10) - BATCH_BYTES : INT64_MAX;
    if (bytes >= *least->bytes) return;
    free(*least->topic);
    *least->topic = wp_strdup(rd_kafka_ConfigResource_name(resource));
    *least->bytes = bytes;
}

enum wp_err wp_admin_message_limit(const struct wp_config *config, int64_t *ret_bytes, char **ret_topic,
                                   struct wp_error *error) {
    struct least least = {ret_bytes, ret_topic};
    *ret_bytes = INT64_MAX;
    *ret_topic = wp_strdup("");
    /* container-event is an input, but hosts and sweepers write to it. */
    return describe_topics(config, WP_TOPIC_EVENT, WP_TOPICS, note_limit, &least, error);
}

static void note_producers_time(void *ctx, const rd_kafka_ConfigResource_t *resource) {
    struct wp_buf *names = ctx;
    const char *type = setting_of(resource, "message.timestamp.type");
    if (!type || strcmp(type, "CreateTime") != 0) return;
    wp_buf_printf(names, "%s%s", names->len > 0 ? ", " : "", rd_kafka_ConfigResource_name(resource));
}

enum wp_err wp_admin_producers_time(const struct wp_config *config, char **ret_topics,
                                    struct wp_error *error) {
    struct wp_buf names = {0};
    enum wp_err err = describe_topics(config, 0, WP_TOPICS_IN, note_producers_time, &names, error);
    *ret_topics = wp_strndup(wp_buf_str(&names));
    wp_buf_done(&names);
    return err;
}
