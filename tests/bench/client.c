/* The load of the benchmark: one client for both sides, warmpool and the copy loop. It speaks the default
 * wire format with warmpool's own codec; each verb prints one line of JSON. One thread. */
#include "core/clock.h"
#include "wire/wire.h"
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 60000, POLL_MS = 10, PACED_WARM_UP = 10 };

static const char usage[] =
    "usage: bench_client BROKERS PREFIX VERB ...\n"
    "  pairs COUNT PHILOSOPHIES WINDOW OUTPUT [HELD]\n"
    "                                          closed loop with WINDOW requests under way: acquire,\n"
    "                                          wait for the record of its key on OUTPUT, release; with\n"
    "                                          HELD no more than that between an acquire and the\n"
    "                                          record of its release on OUTPUT\n"
    "  trips COUNT HELD OUTPUT GROUP           time from an acquire sent to its record on OUTPUT read,\n"
    "                                          1 and then 16 under way; HELD are leased, then released,\n"
    "                                          and on it goes when GROUP has committed the releases\n"
    "  paced COUNT PER_SECOND OUTPUT           open loop: an acquire every 1/PER_SECOND s, whatever is\n"
    "                                          under way; each is released when it is answered\n"
    "  load-usage COUNT PHILOSOPHIES           fills usage-record\n"
    "  watch GROUP COUNT TOPIC...              the rate at which GROUP commits COUNT messages\n"
    "  make-topics PARTITIONS TOPIC...         makes topics\n";

static struct wp_config config;
static struct wp_wire *wire;
static rd_kafka_t *producer;
static const char *brokers;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "bench_client: %s\n", what);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, key, value, error, sizeof error)) die(error);
}

/* settings: name, value, ..., NULL */
static rd_kafka_t *new_client(rd_kafka_type_t type, const char **settings) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "socket.nagle.disable", "true");
    for (; *settings; settings += 2) set(conf, settings[0], settings[1]);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) die(error);
    return rk;
}

/* Batches of at most 100: a real backlog comes from many producers that each have little to say at a time,
 * and what a batch costs its readers is then the same in every round. */
static rd_kafka_t *new_producer(const char *linger_ms) {
    return new_client(RD_KAFKA_PRODUCER, (const char *[]){"linger.ms", linger_ms, "batch.num.messages", "100",
                                                          "queue.buffering.max.messages", "100000", NULL});
}

static rd_kafka_t *new_consumer(const char *group) {
    return new_client(RD_KAFKA_CONSUMER, (const char *[]){"group.id", group, "fetch.wait.max.ms", "10",
                                                          "enable.auto.commit", "false", NULL});
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

/* Brokers learn of a new topic a moment after it was made. */
static int partitions_of(const char *topic) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(producer, topic, NULL);
    int64_t deadline = wp_clock_us() + 10000000;
    int count = 0;
    while (count == 0) {
        if (!rd_kafka_metadata(producer, 0, rkt, &metadata, 5000)) {
            count = metadata->topic_cnt > 0 ? metadata->topics[0].partition_cnt : 0;
            rd_kafka_metadata_destroy(metadata);
        }
        if (count == 0 && wp_clock_us() > deadline) die("a topic has no partitions");
        if (count == 0) rd_kafka_poll(producer, POLL_MS);
    }
    rd_kafka_topic_destroy(rkt);
    return count;
}

static rd_kafka_t *reader_at_end(const char *topic) {
    rd_kafka_t *consumer = new_consumer("bench-client");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int i = 0, n = partitions_of(topic); i < n; i++) {
        int64_t low, high, deadline = wp_clock_us() + 10000000;
        while (rd_kafka_query_watermark_offsets(producer, topic, i, &low, &high, 5000)) { /* no leader yet */
            if (wp_clock_us() > deadline) die("the end of a topic is not known");
            rd_kafka_poll(producer, POLL_MS);
        }
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = high;
    }
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

/* The number of the request that it answers; -1 for anything else (a copy of a release, nothing, an error).
 */
static long answer_to(const rd_kafka_message_t *m) {
    if (!m || m->err || m->key_len < 3 || *(const char *)m->key != 'r') return -1;
    char number[32];
    snprintf(number, sizeof number, "%.*s", (int)m->key_len - 2, (const char *)m->key + 2);
    return strtol(number, NULL, 10);
}

static bool is_release(const rd_kafka_message_t *m) {
    return !m->err && m->key_len > 0 && *(const char *)m->key == 'd';
}

/* held: a pool's containers bound what is on its way back; whoever copies releases has to be bound the same
 * way, or is measured with half of its work undone. 0: no bound. */
static void pairs(long count, long philosophies, long window, const char *output, long held) {
    rd_kafka_t *consumer = reader_at_end(output);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_message_t *batch[1000];
    int64_t deadline = wp_clock_us() + WAIT_MS * 1000ll, began = 0;
    long sent = 0, answered = 0, returned = 0, warm_up = count / 10;
    while (answered < count || (held && returned < count)) {
        if (began == 0 && answered >= warm_up) began = wp_clock_us(), warm_up = answered;
        while (sent < count && sent - answered < window && (!held || sent - returned < held))
            send_acquire(sent++, philosophies);
        ssize_t n = rd_kafka_consume_batch_queue(queue, 0, batch, 1000);
        if (n <= 0 && (batch[0] = rd_kafka_consume_queue(queue, 1))) n = 1;
        for (ssize_t i = 0; i < n; i++) {
            long number = answer_to(batch[i]);
            if (number >= 0) {
                send_release(number, philosophies);
                answered++;
            }
            returned += is_release(batch[i]);
            rd_kafka_message_destroy(batch[i]);
        }
        rd_kafka_poll(producer, 0);
        if (wp_clock_us() > deadline) die("the requests are not answered");
    }
    printf("{\"messages\": %ld, \"seconds\": %.3f}\n", 2 * (count - warm_up),
           (double)(wp_clock_us() - began) / 1e6);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* What a group has committed: all partitions of some topics, and a consumer that asks. */
struct group {
    rd_kafka_t *consumer;
    rd_kafka_topic_partition_list_t *partitions;
};

static struct group open_group(const char *name, char **topics, int topic_count) {
    struct group group = {new_consumer(name), rd_kafka_topic_partition_list_new(16)};
    for (int t = 0; t < topic_count; t++)
        for (int i = 0, n = partitions_of(topics[t]); i < n; i++)
            rd_kafka_topic_partition_list_add(group.partitions, topics[t], i);
    return group;
}

static void close_group(struct group *group) {
    rd_kafka_topic_partition_list_destroy(group->partitions);
    rd_kafka_destroy(group->consumer);
}

/* Messages in all; 0 when the broker does not say. */
static int64_t committed(struct group *group) {
    int64_t sum = 0;
    if (rd_kafka_committed(group->consumer, group->partitions, 5000)) return 0;
    for (int i = 0; i < group->partitions->cnt; i++) {
        int64_t offset = group->partitions->elems[i].offset;
        sum += offset > 0 ? offset : 0;
    }
    return sum;
}

/* The rate between the first commit seen and the last but one: what comes before the first is joining the
 * group, and the last one is late by up to the pause between two commits. Backlogs are long enough for
 * several. */
static void watch(const char *name, int64_t count, char **topics, int topic_count) {
    struct group group = open_group(name, topics, topic_count);
    int64_t deadline = wp_clock_us() + WAIT_MS * 1000ll, sums[2] = {0, 0}, at[2] = {0, 0};
    int64_t last = 0, last_at = 0;
    long commits = 0;
    while (last < count) {
        if (wp_clock_us() > deadline) die("the group does not get through");
        int64_t sum = committed(&group);
        if (sum > last) { /* sums[0]: the first commit; sums[1]: the one before the last */
            if (++commits == 2) sums[0] = last, at[0] = last_at;
            sums[1] = last, at[1] = last_at;
            last = sum, last_at = wp_clock_us();
        }
        rd_kafka_poll(producer, POLL_MS);
    }
    if (commits < 3) die("the backlog is too short to be measured: fewer than three commits");
    printf("{\"messages\": %lld, \"seconds\": %.3f, \"commits\": %ld}\n", (long long)(sums[1] - sums[0]),
           (double)(at[1] - at[0]) / 1e6, commits);
    close_group(&group);
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The requests first to first + count - 1, `window` of them under way; took[i] is the time of first + i. */
static void acquire_all(rd_kafka_queue_t *queue, long first, long count, long window, int64_t *took) {
    long sent = 0, answered = 0;
    int64_t deadline = wp_clock_us() + WAIT_MS * 1000ll;
    while (answered < count) {
        while (sent < count && sent - answered < window) {
            took[sent] = -wp_clock_us();
            send_acquire(first + sent++, 1);
        }
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 100);
        int64_t now = wp_clock_us();
        long i = answer_to(m) - first;
        if (m) rd_kafka_message_destroy(m);
        if (i >= 0 && i < sent && took[i] < 0) {
            took[i] += now;
            answered++;
        }
        if (now > deadline) die("a request is not answered");
    }
}

/* Releases are no part of a trip: nothing is under way any more when the next requests come. They have no
 * answer to wait for, but the group commits what it has done. */
static void release_all(struct group *group, long first, long count) {
    int64_t deadline = wp_clock_us() + WAIT_MS * 1000ll;
    for (long i = 0; i < count; i++) send_release(first + i, 1);
    if (rd_kafka_flush(producer, WAIT_MS)) die("the releases were not delivered");
    while (committed(group) < first + count) {
        if (wp_clock_us() > deadline) die("the releases are not committed");
        rd_kafka_poll(producer, POLL_MS);
    }
}

static void print_percentiles(int64_t *took, long count) {
    qsort(took, (size_t)count, sizeof *took, compare);
    printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f", (double)took[count / 2] / 1000,
           (double)took[count * 99 / 100] / 1000);
}

static long print_trips(rd_kafka_queue_t *queue, struct group *group, long first, long count, long held,
                        long window) {
    int64_t *took = wp_calloc((size_t)(count + held), sizeof *took);
    acquire_all(queue, first, held, window, took); /* to warm up: not counted */
    release_all(group, first, held);
    first += held;
    for (long done = 0; done < count; done += held) {
        acquire_all(queue, first, held, window, took + done);
        release_all(group, first, held);
        first += held;
    }
    printf("\"%ld\": {", window);
    print_percentiles(took, count);
    printf("}");
    free(took);
    return first;
}

/* A time counts from when the request was due, so a client that is late does not flatter the answer. */
static void paced(long count, long per_second, const char *output) {
    rd_kafka_t *consumer = reader_at_end(output);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    int64_t *took = wp_calloc((size_t)(count + PACED_WARM_UP), sizeof *took);
    acquire_all(queue, 0, PACED_WARM_UP, 1, took); /* the first to a topic waits for its metadata */
    for (long i = 0; i < PACED_WARM_UP; i++) send_release(i, 1);
    if (rd_kafka_flush(producer, WAIT_MS)) die("the releases were not delivered");
    int64_t began = wp_clock_us(), deadline = began + (count / per_second + 60) * 1000000ll;
    long sent = 0, answered = 0;
    while (answered < count) {
        int64_t due = began + sent * 1000000ll / per_second;
        if (sent < count && wp_clock_us() >= due) {
            took[sent] = -due;
            send_acquire(PACED_WARM_UP + sent++, 1);
            continue;
        }
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 1);
        int64_t now = wp_clock_us();
        long i = answer_to(m) - PACED_WARM_UP;
        if (m) rd_kafka_message_destroy(m);
        if (i >= 0 && i < sent && took[i] < 0) {
            took[i] += now;
            answered++;
            send_release(PACED_WARM_UP + i, 1);
        }
        if (now > deadline) die("a request is not answered");
    }
    printf("{\"claims\": %ld, \"seconds\": %.3f, ", count, (double)(wp_clock_us() - began) / 1e6);
    print_percentiles(took, count);
    printf("}\n");
    free(took);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void trips(long count, long held, const char *output, const char *group_name) {
    rd_kafka_t *consumer = reader_at_end(output);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    char *releases = wp_topic_full_name(&config, WP_TOPIC_RELEASE);
    struct group group = open_group(group_name, &releases, 1);
    printf("{\"trips\": %ld, ", count);
    long next = print_trips(queue, &group, 0, count, held, 1);
    printf(", ");
    print_trips(queue, &group, next, count, held, 16);
    printf("}\n");
    close_group(&group);
    free(releases);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* As the worker makes its inputs: with the broker's time. */
static void make_topics(int partitions, char **names, int count) {
    char error[256];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer);
    for (int i = 0; i < count; i++) {
        rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(names[i], partitions, 1, error, sizeof error);
        rd_kafka_NewTopic_set_config(topic, "message.timestamp.type", "LogAppendTime");
        rd_kafka_CreateTopics(producer, &topic, 1, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
        if (!event || rd_kafka_event_error(event)) die("the topic was not made");
        rd_kafka_event_destroy(event);
        rd_kafka_NewTopic_destroy(topic);
    }
    rd_kafka_queue_destroy(queue);
    printf("{}\n");
}

int main(int argc, char **argv) {
    if (argc < 6) die(usage);
    struct wp_error error;
    brokers = argv[1];
    wp_config_init(&config);
    if (wp_config_set(&config, "topics.prefix", argv[2], &error) || wp_wire_new(&wire, &config, &error))
        die(error.text);
    const char *verb = argv[3];
    producer = new_producer(strcmp(verb, "trips") == 0 || strcmp(verb, "paced") == 0 ? "0" : "5");
    long count = strtol(argv[4], NULL, 10), second = strtol(argv[5], NULL, 10);
    if (strcmp(verb, "load-usage") == 0)
        load(send_usage, count, second);
    else if (strcmp(verb, "pairs") == 0 && (argc == 8 || argc == 9))
        pairs(count, second, strtol(argv[6], NULL, 10), argv[7], argc == 9 ? strtol(argv[8], NULL, 10) : 0);
    else if (strcmp(verb, "watch") == 0 && argc > 6)
        watch(argv[4], second, argv + 6, argc - 6);
    else if (strcmp(verb, "trips") == 0 && argc == 8)
        trips(count, second, argv[6], argv[7]);
    else if (strcmp(verb, "paced") == 0 && argc == 7 && second > 0)
        paced(count, second, argv[6]);
    else if (strcmp(verb, "make-topics") == 0)
        make_topics((int)count, argv + 5, argc - 5);
    else
        die(usage);
    rd_kafka_flush(producer, 5000);
    rd_kafka_destroy(producer);
    wp_wire_free(wire);
    wp_config_done(&config);
    return 0;
}
