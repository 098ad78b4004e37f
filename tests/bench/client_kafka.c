/* The load client's Kafka: clients, readers, what a group has committed, topics. */
#include "client.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct wp_config bench_config;
struct wp_wire *bench_wire;
rd_kafka_t *bench_producer;
const char *bench_brokers;

enum { ASK_MS = 10000, TOPIC_MS = 60000, MAKE_MS = 60000 };

_Noreturn void die(const char *what) {
    fprintf(stderr, "bench_client: %s\n", what);
    exit(1);
}

long number_of(const char *text) {
    char *end;
    long number = text ? strtol(text, &end, 10) : -1;
    if (number < 0 || *end) die("a number was expected");
    return number;
}

rd_kafka_t *bench_client_new(rd_kafka_type_t type, const char **settings) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *common[] = {"bootstrap.servers", bench_brokers, "socket.nagle.disable", "true", NULL};
    for (const char **s = common; *s; s += 2)
        if (rd_kafka_conf_set(conf, s[0], s[1], error, sizeof error)) die(error);
    for (; *settings; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], error, sizeof error)) die(error);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) die(error);
    return rk;
}

rd_kafka_t *bench_consumer_new(const char *group) {
    return bench_client_new(RD_KAFKA_CONSUMER, (const char *[]){"group.id", group, "fetch.wait.max.ms", "10",
                                                                "enable.auto.commit", "false", NULL});
}

/* Brokers learn of a new topic a moment after it was made. */
int partitions_of(const char *topic) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(bench_producer, topic, NULL);
    int64_t deadline = wp_clock_us() + TOPIC_MS * 1000ll;
    int count = 0;
    while (count == 0) {
        if (!rd_kafka_metadata(bench_producer, 0, rkt, &metadata, ASK_MS)) {
            count = metadata->topic_cnt > 0 ? metadata->topics[0].partition_cnt : 0;
            rd_kafka_metadata_destroy(metadata);
        }
        if (count == 0 && wp_clock_us() > deadline) die("a topic has no partitions");
        if (count == 0) rd_kafka_poll(bench_producer, POLL_MS);
    }
    rd_kafka_topic_destroy(rkt);
    return count;
}

static int64_t end_of(const char *topic, int partition) {
    int64_t low, high, deadline = wp_clock_us() + TOPIC_MS * 1000ll;
    while (rd_kafka_query_watermark_offsets(bench_producer, topic, partition, &low, &high, ASK_MS)) {
        if (wp_clock_us() > deadline) die("the end of a topic is not known"); /* until then: no leader yet */
        rd_kafka_poll(bench_producer, POLL_MS);
    }
    return high;
}

rd_kafka_t *reader_from(char **topics, int count, bool at_end) {
    rd_kafka_t *consumer = bench_consumer_new("bench-client");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int t = 0; t < count; t++)
        for (int i = 0, n = partitions_of(topics[t]); i < n; i++)
            rd_kafka_topic_partition_list_add(list, topics[t], i)->offset =
                at_end ? end_of(topics[t], i) : RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

void reader_free(rd_kafka_t *consumer) {
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

long number_of_key(const rd_kafka_message_t *message, char letter) {
    char number[32];
    if (!message || message->err || message->key_len < 3 || *(const char *)message->key != letter) return -1;
    snprintf(number, sizeof number, "%.*s", (int)message->key_len - 2, (const char *)message->key + 2);
    return strtol(number, NULL, 10);
}

struct group group_open(const char *name, char **topics, int topic_count) {
    struct group group = {bench_consumer_new(name), rd_kafka_topic_partition_list_new(16)};
    for (int t = 0; t < topic_count; t++)
        for (int i = 0, n = partitions_of(topics[t]); i < n; i++)
            rd_kafka_topic_partition_list_add(group.partitions, topics[t], i);
    return group;
}

void group_close(struct group *group) {
    rd_kafka_topic_partition_list_destroy(group->partitions);
    rd_kafka_destroy(group->consumer);
}

int64_t group_committed(struct group *group) {
    int64_t sum = 0;
    if (rd_kafka_committed(group->consumer, group->partitions, ASK_MS)) return 0;
    for (int i = 0; i < group->partitions->cnt; i++) {
        int64_t offset = group->partitions->elems[i].offset;
        sum += offset > 0 ? offset : 0;
    }
    return sum;
}

static int count_of(char **args) {
    int count = 0;
    while (args[count]) count++;
    return count;
}

/* Of all its threads, so far; 0 for no process. */
static double cpu_seconds(long pid) {
    char path[64], line[1024] = "";
    long user = 0, system = 0;
    if (pid == 0) return 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) die("the process that is watched has ended");
    fclose(file);
    const char *rest = strrchr(line, ')');
    if (!rest ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2)
        die("/proc/PID/stat is not understood");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

struct seen { /* of a group at one moment */
    int64_t messages, at_us;
    double cpu;
};

/* What lies between the first commit seen and the last but one: what comes before the first is joining the
 * group, and the last one is late by up to the pause between two commits. Backlogs are long enough for
 * several. */
void verb_watch(char **args) {
    struct group group = group_open(args[0], args + 3, count_of(args + 3));
    int64_t count = number_of(args[1]), deadline = wp_clock_us() + 2 * WAIT_MS * 1000ll;
    long pid = number_of(args[2]), commits = 0;
    struct seen first = {0}, previous = {0}, last = {0};
    while (last.messages < count) {
        if (wp_clock_us() > deadline) die("the group does not get through");
        int64_t sum = group_committed(&group);
        if (sum > last.messages) {
            previous = last;
            last = (struct seen){sum, wp_clock_us(), cpu_seconds(pid)};
            if (++commits == 1) first = last;
        }
        rd_kafka_poll(bench_producer, POLL_MS);
    }
    if (commits < 3) die("the backlog is too short to be measured: fewer than three commits");
    printf("{\"messages\": %lld, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"commits\": %ld}\n",
           (long long)(previous.messages - first.messages), (double)(previous.at_us - first.at_us) / 1e6,
           previous.cpu - first.cpu, commits);
    group_close(&group);
}

void verb_await(char **args) {
    struct group group = group_open(args[0], args + 2, count_of(args + 2));
    int64_t count = number_of(args[1]), deadline = wp_clock_us() + 4 * WAIT_MS * 1000ll;
    while (group_committed(&group) < count) {
        if (wp_clock_us() > deadline) die("the group does not get through");
        rd_kafka_poll(bench_producer, POLL_MS);
    }
    printf("{}\n");
    group_close(&group);
}

static void await_admin(rd_kafka_queue_t *queue, const char *what) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, MAKE_MS);
    if (!event || rd_kafka_event_error(event)) die(what);
    rd_kafka_event_destroy(event);
}

/* As the worker makes its inputs: with the broker's time. */
void verb_make_topics(char **args) {
    char error[256];
    int partitions = (int)number_of(args[0]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(bench_producer);
    for (char **name = args + 1; *name; name++) {
        rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(*name, partitions, 1, error, sizeof error);
        rd_kafka_NewTopic_set_config(topic, "message.timestamp.type", "LogAppendTime");
        rd_kafka_CreateTopics(bench_producer, &topic, 1, NULL, queue);
        await_admin(queue, "a topic was not made");
        rd_kafka_NewTopic_destroy(topic);
    }
    rd_kafka_queue_destroy(queue);
    printf("{}\n");
}

void verb_delete_topics(char **args) {
    (void)args;
    const struct rd_kafka_metadata *metadata;
    const char *prefix = bench_config.topics.prefix;
    if (!*prefix) die("an empty prefix would delete all topics");
    if (rd_kafka_metadata(bench_producer, 1, NULL, &metadata, ASK_MS)) die("the topics are not known");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(bench_producer);
    int deleted = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const char *name = metadata->topics[i].topic;
        if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
        rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
        rd_kafka_DeleteTopics(bench_producer, &topic, 1, NULL, queue);
        await_admin(queue, "a topic was not deleted");
        rd_kafka_DeleteTopic_destroy(topic);
        deleted++;
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_queue_destroy(queue);
    printf("{\"deleted\": %d}\n", deleted);
}

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

/* What a consumer and a producer of librdkafka cost that have nothing to do: its own settings, no wakeups but
 * its own. */
void verb_idle(char **args) {
    signal(SIGTERM, on_signal);
    rd_kafka_t *consumer = bench_client_new(RD_KAFKA_CONSUMER, (const char *[]){"group.id", args[0], NULL});
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    rd_kafka_poll_set_consumer(consumer);
    for (char **name = args + 1; *name; name++)
        rd_kafka_topic_partition_list_add(list, *name, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    while (!stopped) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, 1000);
        if (m) rd_kafka_message_destroy(m);
        rd_kafka_poll(bench_producer, 0);
    }
    reader_free(consumer);
    printf("{}\n");
}
