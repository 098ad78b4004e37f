/* Closed loops: as many events under way as were asked for, the next one when one is answered. */
#include "client.h"
#include <string.h>

enum { TAKE = 1000, MIX_KEYS = 500, MIX_VALUE = 1024, VALUE_KEYS = 20 };

/* What was sent and answered of acquires and their releases. `held` bounds what is between an acquire and the
 * end of its release: a pool's containers do so by themselves, and whoever copies releases has to be bounded
 * the same way, or is measured with half of its work undone. 0: no bound. */
struct requests {
    struct load load;
    long count, window, held;
    long sent, answered, returned;
};

struct cache_events {
    struct load load;
    long sent, answered;
};

static void send_acquires(struct requests *r) {
    while (r->sent < r->count && r->sent - r->answered < r->window &&
           (!r->held || r->sent - r->returned < r->held))
        send_acquire(&r->load, r->sent++);
}

static bool is_done(const struct requests *r) {
    return r->answered >= r->count && (!r->held || r->returned >= r->count);
}

static void take_answer(const rd_kafka_message_t *m, struct requests *requests, struct cache_events *cache) {
    long number = number_of_key(m, 'r');
    if (number >= 0) {
        send_release(&requests->load, number);
        requests->answered++;
    }
    requests->returned += number_of_key(m, 'd') >= 0;
    if (cache) cache->answered += number_of_key(m, 'c') >= 0;
}

static void take_answers(rd_kafka_queue_t *queue, struct requests *requests, struct cache_events *cache) {
    rd_kafka_message_t *batch[TAKE];
    ssize_t n = rd_kafka_consume_batch_queue(queue, 0, batch, TAKE);
    if (n <= 0 && (batch[0] = rd_kafka_consume_queue(queue, 1))) n = 1;
    for (ssize_t i = 0; i < n; i++) {
        take_answer(batch[i], requests, cache);
        rd_kafka_message_destroy(batch[i]);
    }
    rd_kafka_poll(bench_producer, 0);
}

static int count_of(char **args) {
    int count = 0;
    while (args[count]) count++;
    return count;
}

static void print_rate(long messages, int64_t began) {
    printf("{\"messages\": %ld, \"seconds\": %.3f}\n", messages, (double)(wp_clock_us() - began) / 1e6);
}

void verb_pairs(char **args) {
    struct requests r = {.count = number_of(args[0]),
                         .load = {.philosophies = number_of(args[1])},
                         .window = number_of(args[2]),
                         .held = number_of(args[3])};
    rd_kafka_t *consumer = reader_from(args + 4, 1, true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    int64_t deadline = wp_clock_us() + 2 * WAIT_MS * 1000ll, began = 0;
    long warm_up = r.count / 10;
    while (!is_done(&r)) {
        if (began == 0 && r.answered >= warm_up) began = wp_clock_us(), warm_up = r.answered;
        send_acquires(&r);
        take_answers(queue, &r, NULL);
        if (wp_clock_us() > deadline) die("the requests are not answered");
    }
    print_rate(2 * (r.count - warm_up), began);
    rd_kafka_queue_destroy(queue);
    reader_free(consumer);
}

/* Usage records and cache events are sent in step with the acquires; nothing but their number bounds the
 * usage records, which have no answer. */
void verb_mix(char **args) {
    struct requests r = {.count = number_of(args[0]) / 5,
                         .load = {.philosophies = number_of(args[1])},
                         .window = number_of(args[2]),
                         .held = number_of(args[3])};
    struct cache_events cache = {.load = {.keys = MIX_KEYS, .value_size = MIX_VALUE}};
    rd_kafka_t *consumer = reader_from(args + 4, count_of(args + 4), true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    int64_t began = wp_clock_us(), deadline = began + 2 * WAIT_MS * 1000ll;
    long usage = 0;
    while (!is_done(&r) || cache.answered < cache.sent) {
        send_acquires(&r);
        for (long due = r.sent * 3 / 2; usage < due; usage++) send_usage(&r.load, usage);
        while (cache.sent < r.sent * 3 / 2 && cache.sent - cache.answered < r.window)
            send_cache(&cache.load, cache.sent++);
        take_answers(queue, &r, &cache);
        if (wp_clock_us() > deadline) die("the events are not answered");
    }
    flush_events();
    print_rate(2 * r.count + usage + cache.sent, began);
    rd_kafka_queue_destroy(queue);
    reader_free(consumer);
}

/* Large values: sets of one half of the keys and gets of the other, which the warm-up has set. Gets that find
 * nothing end the run. */
void verb_answers(char **args) {
    long count = number_of(args[0]), window = number_of(args[1]), sent = 0, answered = 0, small = 0;
    struct load load = {.keys = VALUE_KEYS, .value_size = (size_t)number_of(args[2])};
    rd_kafka_t *consumer = reader_from(args + 3, 1, true);
    int64_t deadline = wp_clock_us() + 2 * WAIT_MS * 1000ll, began = 0;
    long warm_up = 2 * VALUE_KEYS;
    while (answered < count + warm_up) {
        bool warming = answered < warm_up;
        if (!warming && began == 0) began = wp_clock_us(), small = 0;
        for (; sent < (warming ? warm_up : count + warm_up) && sent - answered < window; sent++)
            (sent < VALUE_KEYS || sent % 2 ? send_set : send_get)(&load, sent);
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (number_of_key(m, 'c') >= 0) answered++, small += m->len < load.value_size;
        if (m) rd_kafka_message_destroy(m);
        rd_kafka_poll(bench_producer, 0);
        if (wp_clock_us() > deadline) die("the events are not answered");
    }
    if (small > count / 2 + count / 20) die("the gets do not find their values");
    print_rate(count, began);
    reader_free(consumer);
}
