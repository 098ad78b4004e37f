/* The load of the benchmark: one client for all contenders. It speaks warmpool's wire format with warmpool's
 * own codec; each verb prints one line of JSON. */
#include "client.h"
#include <string.h>

static const char usage[] =
    "usage: bench_client BROKERS PREFIX WIRE VERB ...\n"
    "  pairs COUNT PHILOSOPHIES WINDOW HELD OUTPUT\n"
    "      closed loop with WINDOW requests under way: acquire, wait for the record of its key on OUTPUT,\n"
    "      release; with HELD (not 0) no more than that between an acquire and the record of its release on\n"
    "      OUTPUT\n"
    "  mix COUNT PHILOSOPHIES WINDOW HELD OUTPUT...\n"
    "      as `pairs`, COUNT messages in all: of ten, two acquires, two releases, three usage records and\n"
    "      three cache events\n"
    "  answers COUNT WINDOW VALUE-BYTES OUTPUT\n"
    "      closed loop with WINDOW cache events under way: sets and gets in turn\n"
    "  fill KIND FIRST COUNT PHILOSOPHIES FIRST-PHILOSOPHY [KEYS VALUE-BYTES]\n"
    "      sends that many events, and waits for their delivery alone; KIND: acquire, release, usage, get,\n"
    "      set, cache\n"
    "  watch GROUP COUNT PID TOPIC...\n"
    "      the rate at which GROUP commits COUNT messages, and the CPU of PID (not 0) meanwhile\n"
    "  await GROUP COUNT TOPIC...\n"
    "      ends when GROUP has committed COUNT messages\n"
    "  trips COUNT HELD OUTPUT GROUP\n"
    "      time from an acquire sent to its record on OUTPUT read, 1 and then 16 under way; HELD are "
    "leased,\n"
    "      then released, and on it goes when GROUP has committed the releases\n"
    "  paced COUNT PER-SECOND OUTPUT [HOLD-MS [SEED]]\n"
    "      open loop: an acquire every 1/PER-SECOND s, whatever is under way, or with SEED (not 0) so many "
    "a\n"
    "      second on average, as a Poisson process; each is released HOLD-MS (0) after its answer\n"
    "  make-topics PARTITIONS TOPIC...\n"
    "  delete-topics\n"
    "      those that begin with PREFIX\n"
    "  host NAME\n"
    "      answers each create for that host with `ready`, each destroy with `gone`; until SIGTERM\n"
    "  idle GROUP TOPIC...\n"
    "      a consumer and a producer with nothing to do; until SIGTERM\n";

static const struct verb {
    const char *name;
    int args; /* at least */
    const char *linger_ms;
    void (*run)(char **args); /* NULL-terminated */
} verbs[] = {
    {"pairs", 5, "5", verb_pairs},
    {"mix", 5, "5", verb_mix},
    {"answers", 4, "5", verb_answers},
    {"fill", 5, "5", verb_fill},
    {"watch", 4, "5", verb_watch},
    {"await", 3, "5", verb_await},
    {"trips", 4, "0", verb_trips},
    {"paced", 3, "0", verb_paced},
    {"make-topics", 2, "5", verb_make_topics},
    {"delete-topics", 0, "5", verb_delete_topics},
    {"host", 1, "0", verb_host},
    {"idle", 2, "5", verb_idle},
};

static const struct verb *find_verb(const char *name, int args) {
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0 && args >= verbs[i].args) return &verbs[i];
    die(usage);
}

/* Batches of at most 100: a real backlog comes from many producers that each have little to send at a time,
 * and what a batch costs its readers is then the same in every round. */
static rd_kafka_t *new_producer(const char *linger_ms) {
    return bench_client_new(RD_KAFKA_PRODUCER,
                            (const char *[]){"linger.ms", linger_ms, "batch.num.messages", "100",
                                             "queue.buffering.max.messages", "100000", NULL});
}

int main(int argc, char **argv) {
    if (argc < 5) die(usage);
    struct wp_error error;
    const struct verb *verb = find_verb(argv[4], argc - 5);
    bench_brokers = argv[1];
    wp_config_init(&bench_config);
    if (wp_config_set(&bench_config, "topics.prefix", argv[2], &error) ||
        wp_config_set(&bench_config, "wire.write", argv[3], &error) ||
        wp_wire_new(&bench_wire, &bench_config, &error))
        die(error.text);
    bench_producer = new_producer(verb->linger_ms);
    verb->run(argv + 5);
    rd_kafka_flush(bench_producer, 5000);
    rd_kafka_destroy(bench_producer);
    wp_wire_free(bench_wire);
    wp_config_done(&bench_config);
    return 0;
}
