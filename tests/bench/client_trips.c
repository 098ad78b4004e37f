/* Round trips: the time from an acquire sent to its record read. */
#include "client.h"
#include <math.h>

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
    printf("\"p50_ms\": %.3f, \"p90_ms\": %.3f, \"p99_ms\": %.3f", (double)took[count / 2] / 1000,
           (double)took[count * 9 / 10] / 1000, (double)took[count * 99 / 100] / 1000);
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

/* --- open loop --- */

/* Requests that come when they are due, whatever is under way. All times in us. */
struct open_loop {
    long count, sent, answered, released;
    int64_t hold; /* from an answer until its release */
    int64_t *due; /* of each request, drawn before the first is sent */
    int64_t
        *took; /* of each request: minus its due time until it is answered, then from then to the answer */
    int64_t
        *give_back_at; /* in the order of the answers, as is `order`: when it is released, and which it was */
    long *order;
};

/* Splitmix64: between 0 and 1, neither included. */
static double draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

/* seed 0: one every 1/per_second s. Else a Poisson process: times between arrivals are exponential. */
static void set_due(struct open_loop *loop, long per_second, uint64_t seed) {
    double at = 0, step = 1e6 / (double)per_second;
    for (long i = 0; i < loop->count; i++) {
        at += seed ? -log(draw(&seed)) * step : i > 0 ? step : 0;
        loop->due[i] = (int64_t)at;
    }
}

static void open_loop_init(struct open_loop *loop) {
    size_t count = (size_t)loop->count;
    loop->due = wp_calloc(count, sizeof *loop->due);
    loop->took = wp_calloc(count, sizeof *loop->took);
    loop->give_back_at = wp_calloc(count, sizeof *loop->give_back_at);
    loop->order = wp_calloc(count, sizeof *loop->order);
}

static void open_loop_done(struct open_loop *loop) {
    free(loop->due);
    free(loop->took);
    free(loop->give_back_at);
    free(loop->order);
}

/* Sends what is due; false: nothing is. */
static bool send_due(struct open_loop *loop, int64_t began) {
    int64_t now = wp_clock_us();
    if (loop->sent < loop->count && now >= began + loop->due[loop->sent]) {
        loop->took[loop->sent] = -(began + loop->due[loop->sent]);
        send_acquire(&one, PACED_WARM_UP + loop->sent++);
    } else if (loop->released < loop->answered && now >= loop->give_back_at[loop->released]) {
        send_release(&one, PACED_WARM_UP + loop->order[loop->released++]);
    } else {
        return false;
    }
    return true;
}

static void take_open(struct open_loop *loop, rd_kafka_message_t *m) {
    int64_t now = wp_clock_us();
    long i = number_of_key(m, 'r') - PACED_WARM_UP;
    if (m) rd_kafka_message_destroy(m);
    if (i < 0 || i >= loop->sent || loop->took[i] >= 0) return;
    loop->took[i] += now;
    loop->order[loop->answered] = i;
    loop->give_back_at[loop->answered++] = now + loop->hold;
}

/* A time counts from when the request was due, so a client that is late does not flatter the answer. */
void verb_paced(char **args) {
    struct open_loop loop = {.count = number_of(args[0])};
    long per_second = number_of(args[1]);
    char *output = args[2];
    uint64_t seed = 0;
    if (args[3]) loop.hold = number_of(args[3]) * 1000, seed = args[4] ? (uint64_t)number_of(args[4]) : 0;
    if (per_second == 0) die("paced: nothing a second");
    rd_kafka_t *consumer = reader_from(&output, 1, true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    open_loop_init(&loop);
    set_due(&loop, per_second, seed);
    int64_t warm_up[PACED_WARM_UP] = {0};
    acquire_all(queue, 0, PACED_WARM_UP, 1, warm_up); /* the first to a topic waits for its metadata */
    for (long i = 0; i < PACED_WARM_UP; i++) send_release(&one, i);
    flush_events();
    int64_t began = wp_clock_us(), deadline = began + loop.due[loop.count - 1] + 60 * 1000000ll, ended = 0;
    while (loop.released < loop.count) {
        if (send_due(&loop, began)) continue;
        take_open(&loop, rd_kafka_consume_queue(queue, 1));
        if (loop.answered == loop.count && ended == 0) ended = wp_clock_us();
        if (wp_clock_us() > deadline) die("a request is not answered");
    }
    printf("{\"claims\": %ld, \"seconds\": %.3f, ", loop.count, (double)(ended - began) / 1e6);
    print_percentiles(loop.took, loop.count);
    printf("}\n");
    open_loop_done(&loop);
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
