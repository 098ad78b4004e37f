/* A contender of the benchmark: a plain consume-and-produce loop with warmpool's guarantees (idempotent
 * producer, acks=all, offsets committed after delivery), in one thread. It copies every message of the input
 * topics to one output topic.
 *
 *   bench_copy_loop BROKERS GROUP TOPIC[,TOPIC...] OUTPUT [REDIS-SOCKET]      until SIGTERM
 *
 * Without REDIS-SOCKET it takes one message a poll, which is librdkafka's own way. With it, it is the durable
 * copy loop: what has come is one batch, its bytes are written to Redis by one SET, and the batch is produced
 * when Redis has answered (with `appendfsync always`: when it is on disk). Up to FLIGHT batches wait for
 * their answers at a time. */
#include <hiredis/hiredis.h>
#include <librdkafka/rdkafka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    RING = 1 << 20,
    MAX_PARTITIONS = 256,
    FLIGHT = 4,            /* batches */
    BATCH_MESSAGES = 500,  /* of a batch, at most */
    BATCH_BYTES = 1 << 20, /* a batch is closed when it has that many */
    IDLE_MS = 1,           /* between two polls for delivery reports */
};
static const double COMMIT_SECONDS = 0.5;

static volatile sig_atomic_t stopped;
static rd_kafka_t *consumer, *producer;
static rd_kafka_topic_t *output;
static unsigned char delivered[RING]; /* by sequence number */
static uint64_t low, next;            /* everything below low is delivered; the next sequence number */

struct position {
    char *topic;
    int32_t partition;
    int64_t offset; /* the next one to read */
};
static struct position positions[MAX_PARTITIONS];
static size_t position_count;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "bench_copy_loop: %s\n", what);
    exit(1);
}

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
    if (message->err) die(rd_kafka_err2str(message->err));
    delivered[(uint64_t)(uintptr_t)message->_private % RING] = 1;
    while (low < next && delivered[low % RING]) delivered[low++ % RING] = 0;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const *pairs) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *pairs; pairs += 2)
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], error, sizeof error) != RD_KAFKA_CONF_OK) die(error);
    if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) die(error);
    return rk;
}

static rd_kafka_t *new_consumer(const char *brokers, const char *group) {
    return client(RD_KAFKA_CONSUMER,
                  (const char *const[]){"bootstrap.servers", brokers, "group.id", group, "enable.auto.commit",
                                        "false", "auto.offset.reset", "earliest", "fetch.wait.max.ms", "250",
                                        "socket.nagle.disable", "true", "queued.min.messages", "100000",
                                        "partition.assignment.strategy", "range", NULL});
}

static rd_kafka_t *new_producer(const char *brokers) {
    return client(RD_KAFKA_PRODUCER,
                  (const char *const[]){"bootstrap.servers", brokers, "enable.idempotence", "true", "acks",
                                        "all", "linger.ms", "0", "socket.nagle.disable", "true",
                                        "queue.buffering.max.messages", "1000000", NULL});
}

static void subscribe(const char *topics) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
    char *names = strdup(topics), *rest = names, *name;
    while ((name = strsep(&rest, ","))) rd_kafka_topic_partition_list_add(list, name, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    free(names);
}

/* --- one message --- */

static void remember(const rd_kafka_message_t *message) {
    const char *topic = rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < position_count; i++)
        if (positions[i].partition == message->partition && strcmp(positions[i].topic, topic) == 0) {
            positions[i].offset = message->offset + 1;
            return;
        }
    if (position_count == MAX_PARTITIONS) die("too many partitions");
    positions[position_count++] = (struct position){strdup(topic), message->partition, message->offset + 1};
}

static bool has_room(void) {
    return next - low < RING - FLIGHT * BATCH_MESSAGES;
}

static void copy(const rd_kafka_message_t *m) {
    remember(m);
    while (rd_kafka_produce(output, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, m->payload, m->len, m->key,
                            m->key_len, (void *)(uintptr_t)next) == -1)
        rd_kafka_poll(producer, 1);
    next++;
}

/* --- offsets --- */

static rd_kafka_topic_partition_list_t
    *pending; /* to be committed once all below pending_until is delivered */
static uint64_t pending_until;

static rd_kafka_topic_partition_list_t *snapshot(void) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)position_count);
    for (size_t i = 0; i < position_count; i++)
        rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition)->offset =
            positions[i].offset;
    return list;
}

static void commit(int is_async) {
    rd_kafka_commit(consumer, pending, is_async);
    rd_kafka_topic_partition_list_destroy(pending);
    pending = NULL;
}

static void commit_now_and_then(void) {
    static double last;
    if (pending && low >= pending_until) commit(1);
    if (pending || position_count == 0 || now() - last < COMMIT_SECONDS) return;
    pending = snapshot();
    pending_until = next;
    last = now();
}

static void commit_all(void) {
    if (pending) rd_kafka_topic_partition_list_destroy(pending);
    pending = snapshot();
    if (rd_kafka_flush(producer, 10000) || position_count == 0)
        rd_kafka_topic_partition_list_destroy(pending);
    else
        commit(0);
}

/* --- the plain loop --- */

static void run_plain(void) {
    while (!stopped) {
        rd_kafka_message_t *m = has_room() ? rd_kafka_consumer_poll(consumer, IDLE_MS) : NULL;
        if (m && !m->err) copy(m);
        rd_kafka_poll(producer, has_room() ? 0 : IDLE_MS);
        if (m) rd_kafka_message_destroy(m);
        commit_now_and_then();
    }
}

/* --- the durable loop --- */

struct batch {
    rd_kafka_message_t *messages[BATCH_MESSAGES];
    size_t count;
};

static redisContext *redis;
static const char *redis_key;
static struct batch batches[FLIGHT]; /* a ring, in the order of their writes */
static size_t first_batch, batch_count;
static bool unsent; /* bytes of a write are still to be sent */

static void open_redis(const char *socket_path) {
    redis = redisConnectUnix(socket_path);
    if (!redis || redis->err) die(redis ? redis->errstr : "no memory");
    redis->flags &= ~REDIS_BLOCK;
    if (fcntl(redis->fd, F_SETFL, O_NONBLOCK)) die("the socket of Redis cannot be made non-blocking");
}

static void write_batch(const struct batch *batch) {
    static char *bytes;
    static size_t capacity;
    size_t len = 0, used = 0;
    for (size_t i = 0; i < batch->count; i++) len += batch->messages[i]->key_len + batch->messages[i]->len;
    if (len > capacity && !(bytes = realloc(bytes, capacity = len))) die("no memory");
    for (size_t i = 0; i < batch->count; i++) {
        const rd_kafka_message_t *m = batch->messages[i];
        if (m->key_len) memcpy(bytes + used, m->key, m->key_len);
        if (m->len) memcpy(bytes + used + m->key_len, m->payload, m->len);
        used += m->key_len + m->len;
    }
    redisAppendCommandArgv(redis, 3, (const char *[]){"SET", redis_key, bytes},
                           (size_t[]){3, strlen(redis_key), used});
    unsent = true;
}

/* What Kafka has, without waiting for more. */
static bool take_batch(rd_kafka_queue_t *queue) {
    struct batch *batch = &batches[(first_batch + batch_count) % FLIGHT];
    size_t bytes = 0;
    rd_kafka_message_t *m;
    batch->count = 0;
    while (batch->count < BATCH_MESSAGES && bytes < BATCH_BYTES && (m = rd_kafka_consume_queue(queue, 0))) {
        bytes += m->len + m->key_len;
        if (m->err)
            rd_kafka_message_destroy(m);
        else
            batch->messages[batch->count++] = m;
    }
    if (batch->count == 0) return false;
    batch_count++;
    write_batch(batch);
    return true;
}

static void send_writes(void) {
    int done = 0;
    if (unsent && redisBufferWrite(redis, &done) != REDIS_OK) die(redis->errstr);
    if (done) unsent = false;
}

static bool produce_written(void) {
    redisReply *reply = NULL;
    size_t before = batch_count;
    if (redisBufferRead(redis) != REDIS_OK) die(redis->errstr);
    while (redisGetReplyFromReader(redis, (void **)&reply) == REDIS_OK && reply) {
        if (reply->type == REDIS_REPLY_ERROR) die(reply->str);
        freeReplyObject(reply);
        struct batch *batch = &batches[first_batch];
        for (size_t i = 0; i < batch->count; i++) {
            copy(batch->messages[i]);
            rd_kafka_message_destroy(batch->messages[i]);
        }
        first_batch = (first_batch + 1) % FLIGHT;
        batch_count--;
    }
    return batch_count < before;
}

static void run_durable(void) {
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    int wake = eventfd(0, EFD_NONBLOCK);
    uint64_t count = 1;
    rd_kafka_queue_io_event_enable(queue, wake, &count, sizeof count);
    while (!stopped) {
        bool busy = batch_count < FLIGHT && has_room() && take_batch(queue);
        send_writes();
        busy |= batch_count > 0 && produce_written();
        rd_kafka_poll(producer, 0);
        commit_now_and_then();
        struct pollfd fds[] = {{wake, POLLIN, 0}, {redis->fd, (short)(POLLIN | (unsent ? POLLOUT : 0)), 0}};
        if (!busy && poll(fds, 2, IDLE_MS) > 0 && fds[0].revents && read(wake, &count, sizeof count) < 0)
            die("eventfd");
    }
    for (; batch_count > 0; batch_count--, first_batch = (first_batch + 1) % FLIGHT)
        for (size_t i = 0; i < batches[first_batch].count; i++)
            rd_kafka_message_destroy(batches[first_batch].messages[i]);
    rd_kafka_queue_destroy(queue);
    redisFree(redis);
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6)
        die("usage: bench_copy_loop BROKERS GROUP TOPIC[,TOPIC...] OUTPUT [REDIS-SOCKET]");
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    consumer = new_consumer(argv[1], argv[2]);
    producer = new_producer(argv[1]);
    rd_kafka_poll_set_consumer(consumer);
    output = rd_kafka_topic_new(producer, argv[4], NULL);
    subscribe(argv[3]);
    if (argc == 6) {
        redis_key = argv[2];
        open_redis(argv[5]);
        run_durable();
    } else {
        run_plain();
    }
    commit_all();
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_topic_destroy(output);
    rd_kafka_destroy(producer);
    return 0;
}
