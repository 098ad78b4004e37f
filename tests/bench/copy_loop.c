/* The rival of the benchmark: a plain consume-and-produce loop with warmpool's guarantees (idempotent
 * producer, acks=all, offsets committed after delivery): librdkafka's own way of one message a poll, in one
 * thread. Copies every message of the input topics to one output topic.
 *
 *   bench_copy_loop BROKERS GROUP TOPIC[,TOPIC...] OUTPUT TOTAL     TOTAL 0: until SIGTERM
 *
 * Prints {"messages": N, "seconds": S}: from the first message to the last commit. */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RING = 1 << 20, MAX_PARTITIONS = 256 };

static volatile sig_atomic_t stopped;
static unsigned char delivered[RING]; /* by sequence number */
static uint64_t low, next;            /* everything below low is delivered; the next sequence number */

struct position {
    char *topic;
    int32_t partition;
    int64_t offset; /* the next one to read */
};
static struct position positions[MAX_PARTITIONS];
static size_t position_count;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk, (void)opaque;
    if (message->err) {
        fprintf(stderr, "not delivered: %s\n", rd_kafka_err2str(message->err));
        exit(1);
    }
    delivered[(uint64_t)(uintptr_t)message->_private % RING] = 1;
    while (low < next && delivered[low % RING]) delivered[low++ % RING] = 0;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const *pairs) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *pairs; pairs += 2)
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], error, sizeof error) != RD_KAFKA_CONF_OK) {
            fprintf(stderr, "%s\n", error);
            exit(1);
        }
    if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    return rk;
}

static void remember(const rd_kafka_message_t *message) {
    const char *topic = rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < position_count; i++)
        if (positions[i].partition == message->partition && strcmp(positions[i].topic, topic) == 0) {
            positions[i].offset = message->offset + 1;
            return;
        }
    positions[position_count++] = (struct position){strdup(topic), message->partition, message->offset + 1};
}

static rd_kafka_topic_partition_list_t *snapshot(void) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)position_count);
    for (size_t i = 0; i < position_count; i++)
        rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition)->offset =
            positions[i].offset;
    return list;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: bench_copy_loop BROKERS GROUP TOPIC[,TOPIC...] OUTPUT TOTAL\n");
        return 2;
    }
    signal(SIGTERM, on_signal);
    const char *const consumer_conf[] = {"bootstrap.servers",
                                         argv[1],
                                         "group.id",
                                         argv[2],
                                         "enable.auto.commit",
                                         "false",
                                         "auto.offset.reset",
                                         "earliest",
                                         "fetch.wait.max.ms",
                                         "10",
                                         "socket.nagle.disable",
                                         "true",
                                         "queued.min.messages",
                                         "100000",
                                         "partition.assignment.strategy",
                                         "range",
                                         NULL};
    const char *const producer_conf[] = {"bootstrap.servers",
                                         argv[1],
                                         "enable.idempotence",
                                         "true",
                                         "acks",
                                         "all",
                                         "linger.ms",
                                         "0",
                                         "socket.nagle.disable",
                                         "true",
                                         "queue.buffering.max.messages",
                                         "1000000",
                                         NULL};
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, consumer_conf),
               *producer = client(RD_KAFKA_PRODUCER, producer_conf);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_t *output = rd_kafka_topic_new(producer, argv[4], NULL);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    char *names = strdup(argv[3]), *rest = names, *name;
    while ((name = strsep(&rest, ",")))
        rd_kafka_topic_partition_list_add(topics, name, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, topics);

    uint64_t total = strtoull(argv[5], NULL, 10), snapshot_at = 0;
    rd_kafka_topic_partition_list_t *pending = NULL;
    double began = 0, last_snapshot = 0;
    while (!stopped && (total == 0 || low < total)) {
        bool more = (total == 0 || next < total) && next - low < RING - 1;
        rd_kafka_message_t *m = more ? rd_kafka_consumer_poll(consumer, 1) : NULL;
        if (m && !m->err) {
            if (began == 0) began = last_snapshot = now();
            remember(m);
            while (rd_kafka_produce(output, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, m->payload, m->len,
                                    m->key, m->key_len, (void *)(uintptr_t)next) == -1)
                rd_kafka_poll(producer, 1);
            next++;
        }
        if (m) rd_kafka_message_destroy(m);
        rd_kafka_poll(producer, m || more ? 0 : 1);
        if (pending && low >= snapshot_at) {
            rd_kafka_commit(consumer, pending, 1);
            rd_kafka_topic_partition_list_destroy(pending);
            pending = NULL;
        }
        if (!pending && position_count > 0 && now() - last_snapshot > 0.5) {
            pending = snapshot();
            snapshot_at = next;
            last_snapshot = now();
        }
    }
    if (position_count > 0) {
        rd_kafka_topic_partition_list_t *all = snapshot();
        rd_kafka_commit(consumer, all, 0);
        rd_kafka_topic_partition_list_destroy(all);
    }
    printf("{\"messages\": %llu, \"seconds\": %.6f}\n", (unsigned long long)low, now() - began);
    if (pending) rd_kafka_topic_partition_list_destroy(pending);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_topic_destroy(output);
    rd_kafka_destroy(producer);
    return 0;
}
