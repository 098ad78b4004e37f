/* Topics are made as the table says, on a real Kafka; the embedded broker of `warmpool broker` serves
 * consumer and producer. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "kafka/admin.h"
#include "kafka/producer.h"
#include "cli/command.h"
#include "support/kafka_reader.h"
#include "support/kafka_shared.h"

TestSuite(admin, .timeout = TEST_LIMIT_S);

static void prepare(struct wp_config *config, const char *name) {
    bus_config(config, kafka_shared(), name);
}

static rd_kafka_t *plain_client(const struct wp_config *config) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", wp_settings_get(&config->kafka, "bootstrap.servers"), NULL,
                      0);
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
}

/* The value of one configuration entry of a topic, as the broker has it. */
static void describe(const struct wp_config *config, enum wp_topic topic, const char *key, char *value,
                     size_t size) {
    rd_kafka_t *rk = plain_client(config);
    char *name = wp_topic_full_name(config, topic);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_LIMIT_MS);
    cr_assert(event && !rd_kafka_event_error(event));
    size_t count, entries;
    const rd_kafka_ConfigResource_t **answers =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
    cr_assert_eq(count, 1);
    const rd_kafka_ConfigEntry_t **list = rd_kafka_ConfigResource_configs(answers[0], &entries);
    *value = '\0';
    for (size_t i = 0; i < entries; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(list[i]), key) == 0)
            snprintf(value, size, "%s", rd_kafka_ConfigEntry_value(list[i]));
    }
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_destroy(rk);
    free(name);
}

static int partitions_of(const struct wp_config *config, enum wp_topic topic) {
    rd_kafka_t *rk = plain_client(config);
    char *name = wp_topic_full_name(config, topic);
    const rd_kafka_metadata_t *metadata;
    cr_assert_eq(rd_kafka_metadata(rk, 1, NULL, &metadata, WAIT_LIMIT_MS), 0);
    int count = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, name) == 0) count = metadata->topics[i].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(rk);
    free(name);
    return count;
}

Test(admin, missing_topics_are_made_as_the_table_says_and_existing_ones_left_alone) {
    struct wp_config config;
    struct wp_error error;
    prepare(&config, "make");
    cr_assert_eq(wp_admin_ensure_topics(&config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    char value[64];
    describe(&config, WP_TOPIC_ACQUIRE, "message.timestamp.type", value, sizeof(value));
    cr_expect_str_eq(value, "LogAppendTime");
    describe(&config, WP_TOPIC_PREDICTION, "cleanup.policy", value, sizeof(value));
    cr_expect_str_eq(value, "compact");
    describe(&config, WP_TOPIC_METRICS, "cleanup.policy", value, sizeof(value));
    cr_expect_str_eq(value, "delete");
    cr_expect_eq(partitions_of(&config, WP_TOPIC_DEAD_LETTER), 3);
    cr_assert_eq(wp_config_set(&config, "topics.partitions", "5", &error), WP_OK);
    cr_assert_eq(wp_admin_ensure_topics(&config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    cr_expect_eq(partitions_of(&config, WP_TOPIC_DEAD_LETTER), 3);
    wp_config_done(&config);
}

Test(admin, a_check_names_the_cluster_and_what_is_missing_and_makes_nothing) {
    struct wp_config config;
    struct wp_error error;
    char *cluster = NULL, *missing = NULL;
    prepare(&config, "check");
    for (int i = 0; i < 2; i++) { /* the first one did not make them */
        cr_assert_eq(wp_admin_check(&config, WAIT_LIMIT_MS, &cluster, &missing, &error), WP_OK, "%s",
                     error.text);
        cr_expect_eq(strlen(cluster), 22);
        cr_expect(strstr(missing, "container-acquire,check."), "%s", missing);
        free(cluster);
        free(missing);
    }
    cr_assert_eq(wp_admin_ensure_topics(&config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    cr_assert_eq(wp_admin_check(&config, WAIT_LIMIT_MS, &cluster, &missing, &error), WP_OK, "%s", error.text);
    cr_expect_str_eq(missing, "");
    free(cluster);
    free(missing);
    wp_config_done(&config);
}

Test(admin, a_topic_that_cannot_be_made_is_named_with_the_brokers_reason) {
    struct wp_config config;
    struct wp_error error;
    prepare(&config, "three");
    cr_assert_eq(wp_config_set(&config, "topics.replication", "3", &error), WP_OK); /* there is one broker */
    cr_expect_eq(wp_admin_ensure_topics(&config, WAIT_LIMIT_MS, &error), WP_ERR_KAFKA);
    cr_expect(strstr(error.text, "container-acquire") && strstr(error.text, "eplication"), "%s", error.text);
    wp_config_done(&config);
}

Test(admin, an_unreachable_broker_is_an_error_with_its_address_and_the_reason) {
    struct wp_config config;
    struct wp_error error;
    char *cluster, *missing;
    bus_config(&config, "127.0.0.1:1", "nobody");
    cr_expect_eq(wp_admin_ensure_topics(&config, 500, &error), WP_ERR_KAFKA);
    cr_expect(strstr(error.text, "127.0.0.1:1") && strstr(error.text, "refused"), "%s", error.text);
    cr_expect_eq(wp_admin_check(&config, 500, &cluster, &missing, &error), WP_ERR_KAFKA);
    wp_settings_set(&config.kafka, "no.such.property", "1");
    cr_expect_eq(wp_admin_ensure_topics(&config, 500, &error), WP_ERR_CONFIG);
    cr_expect_eq(wp_admin_check(&config, 500, &cluster, &missing, &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "no.such.property"), "%s", error.text);
    wp_config_done(&config);
}

/* ---- the embedded broker ---- */

static pid_t start_broker(const char *file, const char *prefix) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    char key[160];
    snprintf(key, sizeof(key), "topics.prefix=%s", prefix);
    char name[] = "broker", option[] = "-o", parts[] = "topics.partitions=3", flag[] = "--listen-file";
    char *argv[] = {name, option, key, option, parts, flag, (char *)(uintptr_t)file, NULL};
    exit(wp_cli_broker.run(7, argv));
}

static void delivered(void *ctx, void *token, const struct wp_report *report) {
    (void)token;
    *(int *)ctx += report->ok ? 1 : 1000;
}

Test(broker, serves_source_and_sink_and_ends_at_sigterm, .timeout = TEST_LIMIT_S) {
    char dir[] = "/tmp/warmpool-broker-XXXXXX", file[64], address[64] = "";
    cr_assert(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/address", dir);
    struct wp_config config;
    bus_config(&config, "127.0.0.1:1", "embedded");
    pid_t broker = start_broker(file, config.topics.prefix);
    uv_loop_t loop;
    uv_loop_init(&loop);
    RUN_UNTIL(&loop, access(file, R_OK) == 0);
    FILE *in = fopen(file, "r");
    cr_assert(in && fgets(address, sizeof(address), in));
    fclose(in);
    address[strcspn(address, "\n")] = '\0';

    struct reader reader;
    struct wp_error error;
    reader_open(&reader, &loop, address, "embedded");
    cr_assert_eq(wp_admin_ensure_topics(&reader.config, WAIT_LIMIT_MS, &error), WP_OK, "%s", error.text);
    bus_fill(&reader.config, WP_TOPIC_ACQUIRE, 1, 200);
    reader_subscribe(&reader);
    RUN_UNTIL(&loop, reader.messages == 200);
    RUN_UNTIL(&loop, reader.stats.kafka.ready);

    struct wp_producer *producer;
    int reports = 0;
    cr_assert_eq(
        wp_producer_new(&producer, &loop, &reader.config, &reader.stats, delivered, &reports, &error), WP_OK);
    struct wp_record record = {
        .topic = WP_TOPIC_METRICS, .value = WP_STR("v"), .partition = -1, .token = &reports};
    cr_assert_eq(wp_producer_send(producer, &record, &error), WP_OK);
    RUN_UNTIL(&loop, reports == 1);
    wp_producer_free(producer);
    reader_close(&reader);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&loop), 0);

    kill(broker, SIGTERM);
    int status;
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unlink(file);
    rmdir(dir);
    wp_config_done(&config);
}

Test(broker, an_address_file_that_cannot_be_written_is_said) {
    char name[] = "broker", flag[] = "--listen-file", file[] = "/nonexistent/address",
         unknown[] = "--unknown";
    char *argv[] = {name, flag, file, NULL};
    cr_expect_eq(wp_cli_broker.run(3, argv), WP_EXIT_FAILED);
    char *wrong[] = {name, unknown, NULL};
    cr_expect_eq(wp_cli_broker.run(2, wrong), WP_EXIT_USAGE);
}
