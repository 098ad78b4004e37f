/* Round trips: the time from an acquire sent to its record read. */
#include "client.h"

enum { PACED_WARM_UP = 10 };

static const struct load one = {.philosophies = 1};

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
            send_acquire(&one, first + sent++);
        }
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 100);
        int64_t now = wp_clock_us();
        long i = number_of_key(m, 'r') - first;
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
    for (long i = 0; i < count; i++) send_release(&one, first + i);
    flush_events();
    while (group_committed(group) < first + count) {
        if (wp_clock_us() > deadline) die("the releases are not committed");
        rd_kafka_poll(bench_producer, POLL_MS);
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
void verb_paced(char **args) {
    long count = number_of(args[0]), per_second = number_of(args[1]);
    char *output = args[2];
    if (per_second == 0) die("paced: nothing a second");
    rd_kafka_t *consumer = reader_from(&output, 1, true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    int64_t *took = wp_calloc((size_t)(count + PACED_WARM_UP), sizeof *took);
    acquire_all(queue, 0, PACED_WARM_UP, 1, took); /* the first to a topic waits for its metadata */
    for (long i = 0; i < PACED_WARM_UP; i++) send_release(&one, i);
    flush_events();
    int64_t began = wp_clock_us(), deadline = began + (count / per_second + 60) * 1000000ll;
    long sent = 0, answered = 0;
    while (answered < count) {
        int64_t due = began + sent * 1000000ll / per_second;
        if (sent < count && wp_clock_us() >= due) {
            took[sent] = -due;
            send_acquire(&one, PACED_WARM_UP + sent++);
            continue;
        }
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, 1);
        int64_t now = wp_clock_us();
        long i = number_of_key(m, 'r') - PACED_WARM_UP;
        if (m) rd_kafka_message_destroy(m);
        if (i >= 0 && i < sent && took[i] < 0) {
            took[i] += now;
            answered++;
            send_release(&one, PACED_WARM_UP + i);
        }
        if (now > deadline) die("a request is not answered");
    }
    printf("{\"claims\": %ld, \"seconds\": %.3f, ", count, (double)(wp_clock_us() - began) / 1e6);
    print_percentiles(took, count);
    printf("}\n");
    free(took);
    rd_kafka_queue_destroy(queue);
    reader_free(consumer);
}

void verb_trips(char **args) {
    long count = number_of(args[0]), held = number_of(args[1]);
    char *output = args[2];
    rd_kafka_t *consumer = reader_from(&output, 1, true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    char *releases = wp_topic_full_name(&bench_config, WP_TOPIC_RELEASE);
    struct group group = group_open(args[3], &releases, 1);
    printf("{\"trips\": %ld, ", count);
    long next = print_trips(queue, &group, 0, count, held, 1);
    printf(", ");
    print_trips(queue, &group, next, count, held, 16);
    printf("}\n");
    group_close(&group);
    free(releases);
    rd_kafka_queue_destroy(queue);
    reader_free(consumer);
}
