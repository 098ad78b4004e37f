/* The load of the benchmark. Speaks the default wire format with warmpool's own codec. Each verb prints one
 * line of JSON.
 *
 *   bench_client BROKERS PREFIX pairs COUNT PHILOSOPHIES WINDOW OUTPUT
 *       closed loop with WINDOW requests under way: acquire, wait for the record of the same key on OUTPUT,
 * release bench_client BROKERS PREFIX load-usage COUNT PHILOSOPHIES fills usage-record bench_client BROKERS
 * PREFIX watch GROUP COUNT TOPIC... waits until GROUP has committed COUNT messages of the topics together;
 * seconds from its first new commit to the last bench_client BROKERS PREFIX rtt COUNT closed loop, one at a
 * time: acquire, wait for the assignment, release bench_client BROKERS PREFIX rtt-copy COUNT OUTPUT the same
 * against the copy loop: send, wait for the copy bench_client BROKERS PREFIX make-topic PARTITIONS TOPIC
 * makes the copy loop's output topic */
#include "core/clock.h"
#include "wire/wire.h"
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 120000 };

static struct wp_config config;
static struct wp_wire *wire;
static rd_kafka_t *producer;
static const char *brokers;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "bench_client: %s\n", what);
    exit(1);
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *linger) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    rd_kafka_conf_set(conf, "socket.nagle.disable", "true", NULL, 0);
    if (type == RD_KAFKA_PRODUCER) {
        rd_kafka_conf_set(conf, "linger.ms", linger, NULL, 0);
        rd_kafka_conf_set(conf, "queue.buffering.max.messages", "2000000", NULL, 0);
        rd_kafka_conf_set(conf, "queue.buffering.max.kbytes", "1000000", NULL, 0);
    } else {
        rd_kafka_conf_set(conf, "group.id", linger, NULL, 0);
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) die(error);
    return rk;
}

static void produce(enum wp_topic topic, const char *key, const void *event) {
    static struct wp_buf bytes;
    wp_buf_reset(&bytes);
    wp_wire_encode(wire, topic, event, &bytes);
    char *name = wp_topic_full_name(&config, topic);
    while (rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_KEY(key, strlen(key)),
                             RD_KAFKA_V_VALUE(bytes.data, bytes.len),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END))
        rd_kafka_poll(producer, 1);
    rd_kafka_poll(producer, 0);
    free(name);
}

static void send_acquire(long i, long philosophies) {
    char id[32], philosophy[32], agent[32];
    snprintf(id, sizeof id, "r-%09ld", i);
    snprintf(agent, sizeof agent, "agent-%ld", i % 10000);
    snprintf(philosophy, sizeof philosophy, "p%ld", i % philosophies);
    struct wp_acquire e = {.request_id = wp_str(id),
                           .agent_id = wp_str(agent),
                           .philosophy = wp_str(philosophy),
                           .timeout_ms = 600000,
                           .lease_ms = 3600000,
                           .cpu_percent = NAN,
                           .memory_mb = NAN};
    produce(WP_TOPIC_ACQUIRE, id, &e);
}

static void send_release(long i, long philosophies) {
    char id[32], philosophy[32];
    snprintf(id, sizeof id, "r-%09ld", i);
    snprintf(philosophy, sizeof philosophy, "p%ld", i % philosophies);
    char key[32]; /* told apart from the acquire's by its first letter */
    snprintf(key, sizeof key, "d-%09ld", i);
    struct wp_release e = {.request_id = wp_str(id), .philosophy = wp_str(philosophy), .reuse = true};
    produce(WP_TOPIC_RELEASE, key, &e);
}

static void send_usage(long i, long philosophies) {
    char id[32], philosophy[32], agent[32];
    snprintf(id, sizeof id, "u-%09ld", i);
    snprintf(agent, sizeof agent, "agent-%ld", i % 10000);
    snprintf(philosophy, sizeof philosophy, "p%ld", i % philosophies);
    struct wp_usage e = {.record_id = wp_str(id),
                         .agent_id = wp_str(agent),
                         .philosophy = wp_str(philosophy),
                         .cpu_percent = (double)(i % 90) + 5,
                         .memory_usage_mb = (double)(i % 400) + 100,
                         .execution_time = (double)(i % 50) + 1};
    produce(WP_TOPIC_USAGE, id, &e);
}

static void load(void (*send)(long, long), long count, long philosophies) {
    int64_t began = wp_clock_us();
    for (long i = 0; i < count; i++) send(i, philosophies);
    if (rd_kafka_flush(producer, WAIT_MS)) die("the load was not delivered");
    printf("{\"messages\": %ld, \"seconds\": %.3f}\n", count, (double)(wp_clock_us() - began) / 1e6);
}

static int partitions_of(const char *topic) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(producer, topic, NULL);
    int count = 0;
    if (!rd_kafka_metadata(producer, 0, rkt, &metadata, 5000)) {
        count = metadata->topic_cnt > 0 ? metadata->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(rkt);
    if (count == 0) die("a topic has no partitions");
    return count;
}

static rd_kafka_t *reader_at_end(const char *topic) {
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, "bench-client");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int i = 0, n = partitions_of(topic); i < n; i++) {
        int64_t low, high;
        rd_kafka_query_watermark_offsets(producer, topic, i, &low, &high, 5000);
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = high;
    }
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

static void pairs(long count, long philosophies, long window, const char *output) {
    rd_kafka_t *consumer = reader_at_end(output);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_message_t *batch[1000];
    int64_t began = wp_clock_us();
    long sent = 0, answered = 0;
    while (answered < count) {
        while (sent < count && sent - answered < window) send_acquire(sent++, philosophies);
        ssize_t n = rd_kafka_consume_batch_queue(queue, 0, batch, 1000);
        if (n <= 0 && (batch[0] = rd_kafka_consume_queue(queue, 1))) n = 1;
        for (ssize_t i = 0; i < n; i++) {
            const rd_kafka_message_t *m = batch[i];
            if (!m->err && m->key_len > 2 && *(const char *)m->key == 'r') {
                send_release(strtol((const char *)m->key + 2, NULL, 10), philosophies);
                answered++;
            }
            rd_kafka_message_destroy(batch[i]);
        }
        rd_kafka_poll(producer, 0);
        if (wp_clock_us() - began > WAIT_MS * 1000ll) die("the requests are not answered");
    }
    printf("{\"messages\": %ld, \"seconds\": %.3f}\n", 2 * count, (double)(wp_clock_us() - began) / 1e6);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void watch(const char *group, int64_t count, char **topics, int topic_count) {
    int64_t first = -1;
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int t = 0; t < topic_count; t++)
        for (int i = 0, n = partitions_of(topics[t]); i < n; i++)
            rd_kafka_topic_partition_list_add(list, topics[t], i);
    int64_t began = 0, sum = 0, deadline = wp_clock_us() + WAIT_MS * 1000ll;
    while (sum < count) {
        if (wp_clock_us() > deadline) die("the group does not get through");
        sum = 0;
        if (!rd_kafka_committed(consumer, list, 5000))
            for (int i = 0; i < list->cnt; i++) sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
        if (first < 0) first = sum;
        if (sum > first && began == 0) began = wp_clock_us();
        rd_kafka_poll(producer, 5);
    }
    printf("{\"messages\": %lld, \"seconds\": %.3f}\n", (long long)(sum - first),
           (double)(wp_clock_us() - began) / 1e6);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Waits for the record with that key; others (commands' answers, earlier ones) are passed over. */
static void await_key(rd_kafka_t *consumer, const char *key) {
    int64_t deadline = wp_clock_us() + 10000000;
    for (;;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, 1000);
        bool found = m && !m->err && m->key_len == strlen(key) && memcmp(m->key, key, m->key_len) == 0;
        if (m) rd_kafka_message_destroy(m);
        if (found) return;
        if (wp_clock_us() > deadline) die("no answer within 10 s");
    }
}

static void round_trips(long count, const char *output, bool copy) {
    rd_kafka_t *consumer = reader_at_end(output);
    rd_kafka_consumer_poll(consumer, 1000);
    int64_t *took = wp_calloc((size_t)count, sizeof *took);
    long warm_up = count / 10, base = (long)(wp_clock_wall_ms() % 1000000) * 1000;
    for (long i = 0; i < count + warm_up; i++) {
        char id[32];
        snprintf(id, sizeof id, "r-%09ld", base + i);
        int64_t began = wp_clock_us();
        send_acquire(base + i, 1);
        await_key(consumer, id);
        if (i >= warm_up) took[i - warm_up] = wp_clock_us() - began;
        if (!copy) send_release(base + i, 1);
    }
    qsort(took, (size_t)count, sizeof *took, compare);
    printf("{\"count\": %ld, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", count, (double)took[count / 2] / 1000,
           (double)took[count * 99 / 100] / 1000);
    free(took);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void make_topic(int partitions, const char *name) {
    char error[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, error, sizeof error);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer);
    rd_kafka_CreateTopics(producer, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    if (!event || rd_kafka_event_error(event)) die("the topic was not made");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    printf("{}\n");
}

int main(int argc, char **argv) {
    if (argc < 5) die("usage: see the top of tests/bench/client.c");
    struct wp_error error;
    brokers = argv[1];
    wp_config_init(&config);
    if (wp_config_set(&config, "topics.prefix", argv[2], &error) || wp_wire_new(&wire, &config, &error))
        die(error.text);
    const char *verb = argv[3];
    bool rtt = strncmp(verb, "rtt", 3) == 0;
    producer = client(RD_KAFKA_PRODUCER, rtt ? "0" : "5");
    long count = strtol(argv[4], NULL, 10), philosophies = argc > 5 && !rtt ? strtol(argv[5], NULL, 10) : 1;
    char *assignments = wp_topic_full_name(&config, WP_TOPIC_ASSIGNMENT);
    if (strcmp(verb, "load-usage") == 0)
        load(send_usage, count, philosophies);
    else if (strcmp(verb, "pairs") == 0 && argc > 7)
        pairs(count, philosophies, strtol(argv[6], NULL, 10), argv[7]);
    else if (strcmp(verb, "watch") == 0 && argc > 6)
        watch(argv[4], strtoll(argv[5], NULL, 10), argv + 6, argc - 6);
    else if (strcmp(verb, "rtt") == 0)
        round_trips(count, assignments, false);
    else if (strcmp(verb, "rtt-copy") == 0 && argc > 5)
        round_trips(count, argv[5], true);
    else if (strcmp(verb, "make-topic") == 0 && argc > 5)
        make_topic((int)count, argv[5]);
    else
        die("usage: see the top of tests/bench/client.c");
    free(assignments);
    rd_kafka_flush(producer, 5000);
    rd_kafka_destroy(producer);
    wp_wire_free(wire);
    wp_config_done(&config);
    return 0;
}
