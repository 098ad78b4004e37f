/* `warmpool accept TOPIC`: lets partitions go on that stopped because their floor in Redis contradicts what
 * Kafka has (docs/reliability.md): the topic was deleted and created again, records were deleted before they
 * were read, or Redis has lost its data. */
#include "kafka/client.h"
#include "cli/command.h"
#include "cli/options.h"
#include "store/sync_call.h"
#include "delivery/begin.h"
#include "pipeline/topic_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KAFKA_MS = 10000 };

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_accept = {
    .name = "accept",
    .summary = "begin anew with a topic that was made anew",
    .arguments = "TOPIC",
    .text = "Lets the partitions of an input topic begin again that stopped because the topic was made anew, "
            "or because Redis has "
            "forgotten what it knew of them. Partitions that are well are left alone.",
    .min_args = 1,
    .max_args = 1,
    .values = "TOPIC",
    .examples = "warmpool accept container-acquire",
    .run = run_subcommand,
};

struct accept {
    const struct wp_config *config;
    enum wp_topic topic;
    enum wp_slot slot;
    char *name;    /* full name of the topic, owned */
    char *cluster; /* cluster id; freed by rd_kafka_mem_free */
    rd_kafka_t *kafka;
    redisContext *redis;
    int partitions;
};

struct offsets { /* of one partition; -1: there is none */
    int64_t low, high, committed, floor, generation;
};

static enum wp_err kafka_failed(const struct accept *a, rd_kafka_resp_err_t err, struct wp_error *error) {
    return wp_fail(
        error, WP_ERR_KAFKA,
        "Kafka at %s does not answer about %s (%s); is it running, and is kafka.bootstrap.servers right?",
        wp_settings_get(&a->config->kafka, "bootstrap.servers"), a->name, rd_kafka_err2str(err));
}

static enum wp_err open_kafka(struct accept *a, struct wp_error *error) {
    a->kafka = wp_client_make(a->config, WP_CLIENT_ADMIN, NULL, error);
    if (!a->kafka) return WP_ERR_CONFIG;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(a->kafka, a->name, NULL);
    rd_kafka_resp_err_t err = rd_kafka_metadata(a->kafka, 0, topic, &metadata, KAFKA_MS);
    rd_kafka_topic_destroy(topic);
    if (err) return kafka_failed(a, err, error);
    a->partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    a->cluster = rd_kafka_clusterid(a->kafka, KAFKA_MS);
    if (a->partitions > 0 && a->cluster) return WP_OK;
    return wp_fail(error, WP_ERR_KAFKA,
                   "the topic %s does not exist; start a worker, which makes missing topics", a->name);
}

/* The partition's name in Redis, as the pipeline writes it. Owned by the caller. */
static char *partition_name(const struct accept *a, int32_t partition) {
    struct wp_buf name = {0};
    wp_buf_printf(&name, "%s/%s/%d", a->cluster, a->name, partition);
    wp_buf_add(&name, "", 1);
    return name.data;
}

static enum wp_err read_kafka(const struct accept *a, int32_t partition, struct offsets *offsets,
                              struct wp_error *error) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, a->name, partition);
    rd_kafka_resp_err_t err = rd_kafka_committed(a->kafka, list, KAFKA_MS);
    offsets->committed = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
    if (!err) err = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (!err)
        err = rd_kafka_query_watermark_offsets(a->kafka, a->name, partition, &offsets->low, &offsets->high,
                                               KAFKA_MS);
    return err ? kafka_failed(a, err, error) : WP_OK;
}

static enum wp_err read_redis(const struct accept *a, const char *name, struct offsets *offsets,
                              struct wp_error *error) {
    redisReply *reply;
    struct wp_str arg = wp_str(name);
    enum wp_err err = wp_redis_call(&reply, a->redis, a->config, a->slot, "positions", &arg, 1, error);
    if (err) return err;
    bool known = reply->elements == 3;
    offsets->floor = known ? reply->element[1]->integer : -1;
    offsets->generation = known ? reply->element[2]->integer : 0;
    freeReplyObject(reply);
    return WP_OK;
}

/* The offset at which a stopped partition goes on; -1 when it has not stopped, so that a worker may be
 * reading it. Records below the group's commit are not read again if the log still has that offset. */
static int64_t begin_of(const struct offsets *offsets) {
    struct wp_begin_facts facts = {.committed = offsets->committed,
                                   .low = offsets->low,
                                   .high = offsets->high,
                                   .floor = offsets->floor,
                                   .recovered = true};
    struct wp_begin begin = wp_begin_decide(&facts);
    if (begin.kind == WP_BEGIN_BLOCKED) return offsets->low;
    return begin.kind == WP_BEGIN_SET_FLOOR && offsets->committed >= 0 ? begin.start : -1;
}

static enum wp_err begin(const struct accept *a, const char *name, int64_t offset, int64_t generation,
                         struct wp_error *error) {
    char text[24], seen[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, offset);
    int seen_len = snprintf(seen, sizeof(seen), "%" PRId64, generation);
    const struct wp_str args[] = {
        wp_str(name), {text, (size_t)len}, WP_STR("accept"), {seen, (size_t)seen_len}};
    redisReply *reply = NULL;
    enum wp_err err = wp_redis_call(&reply, a->redis, a->config, a->slot, "begin", args, 4, error);
    freeReplyObject(reply);
    return err;
}

static enum wp_err accept_partition(const struct accept *a, int32_t partition, struct wp_error *error) {
    struct offsets offsets = {0};
    char *name = partition_name(a, partition);
    enum wp_err err = read_kafka(a, partition, &offsets, error);
    if (!err) err = read_redis(a, name, &offsets, error);
    int64_t offset = err ? -1 : begin_of(&offsets);
    if (offset >= 0 && !err) err = begin(a, name, offset, offsets.generation, error);
    if (!err && offset < 0) printf("%s [%d]: well, left alone\n", a->name, partition);
    if (!err && offset >= 0)
        printf("%s [%d]: begins again at offset %" PRId64 "\n", a->name, partition, offset);
    free(name);
    return err;
}

/* A partition that fails, for example because it has no leader, does not keep the others from going on. */
static enum wp_err accept_all(struct accept *a, struct wp_error *error) {
    enum wp_err err = wp_redis_connect(&a->redis, a->config, a->slot, error), failed = WP_OK;
    if (!err) err = open_kafka(a, error);
    for (int32_t i = 0; i < a->partitions && !err; i++) {
        enum wp_err one = accept_partition(a, i, error);
        if (one) printf("%s [%d]: %s\n", a->name, i, error->text);
        if (one) failed = one;
    }
    return err ? err : failed;
}

static int run(const struct wp_config *config, const char *topic) {
    struct wp_error error = {0};
    struct accept a = {.config = config, .topic = wp_topic_by_name(config, topic)};
    if (a.topic >= WP_TOPICS_IN) {
        wp_fail(&error, WP_ERR_CONFIG, "%s is no input topic; one is %s", topic, wp_topics[0].name);
        return wp_options_fail(&wp_cli_accept, WP_EXIT_USAGE, &error);
    }
    a.slot = topic_table[a.topic].slot;
    a.name = wp_topic_full_name(config, a.topic);
    int code = accept_all(&a, &error) ? wp_options_fail(&wp_cli_accept, WP_EXIT_FAILED, &error) : WP_EXIT_OK;
    if (a.cluster) rd_kafka_mem_free(a.kafka, a.cluster);
    if (a.kafka) rd_kafka_destroy(a.kafka);
    if (a.redis) redisFree(a.redis);
    free(a.name);
    return code;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_accept, argc, argv, &config, &parsed, &code)) return code;
    code = run(&config, parsed.args[0]);
    wp_config_done(&config);
    return code;
}
