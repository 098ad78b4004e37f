/* What the verbs of the benchmark's load client share: its Kafka clients, the events that it sends, what it
 * reads. One thread. Every failure ends the process with a line. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H
#include "core/clock.h"
#include "wire/wire.h"
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 120000, POLL_MS = 10 };

extern struct wp_config bench_config; /* topics.prefix and wire.write */
extern struct wp_wire *bench_wire;
extern rd_kafka_t *bench_producer;
extern const char *bench_brokers;

_Noreturn void die(const char *what);
long number_of(const char *text); /* a whole number that is not negative; anything else ends the process */

/* settings: name, value, ..., NULL */
rd_kafka_t *bench_client_new(rd_kafka_type_t type, const char **settings);
rd_kafka_t *bench_consumer_new(const char *group);

/* --- events: the i-th of its kind --- */

struct load {
    long philosophies; /* p0, p1, ... take turns */
    long first;        /* number of the first philosophy */
    long keys;         /* of the cache: k-0, k-1, ... take turns */
    size_t value_size; /* bytes of a set's value */
};

void send_acquire(const struct load *load, long i); /* message key r-<i> */
void send_release(const struct load *load, long i); /* message key d-<i> */
void send_usage(const struct load *load, long i);   /* message key u-<i> */
void send_get(const struct load *load, long i);     /* message key c-<i> */
void send_set(const struct load *load, long i);
void send_cache(const struct load *load, long i); /* two gets, a set */
void send_event(enum wp_topic topic, const char *key, const void *event);
void flush_events(void);

/* --- topics and groups --- */

int partitions_of(const char *topic);
rd_kafka_t *reader_from(char **topics, int count, bool at_end);
void reader_free(rd_kafka_t *consumer);
/* The number in a message key that begins with that letter; -1 for any other message, none, or an error. */
long number_of_key(const rd_kafka_message_t *message, char letter);

struct group { /* all partitions of some topics, and a consumer that asks what a group has committed of them
                */
    rd_kafka_t *consumer;
    rd_kafka_topic_partition_list_t *partitions;
};
struct group group_open(const char *name, char **topics, int topic_count);
void group_close(struct group *group);
int64_t group_committed(struct group *group); /* messages in all; 0 when the broker does not say */

/* --- the verbs, each with what follows it on the command line; prints one line of JSON --- */

void verb_pairs(char **args);
void verb_mix(char **args);
void verb_answers(char **args);
void verb_fill(char **args);
void verb_watch(char **args);
void verb_await(char **args);
void verb_trips(char **args);
void verb_paced(char **args);
void verb_make_topics(char **args);
void verb_delete_topics(char **args);
void verb_host(char **args);
void verb_idle(char **args);

#endif
