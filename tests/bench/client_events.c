/* The events that the load client sends, and the verbs that only send: `fill`, and `host`, which is a host
 * without containers. */
#include "client.h"
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

enum { AGENTS = 10000, ID = 32 };

void send_event(enum wp_topic topic, const char *key, const void *event) {
    static struct wp_buf bytes;
    static char *names[WP_TOPICS];
    wp_buf_reset(&bytes);
    wp_wire_encode(bench_wire, topic, event, &bytes);
    if (!names[topic]) names[topic] = wp_topic_full_name(&bench_config, topic);
    rd_kafka_resp_err_t err;
    while ((err = rd_kafka_producev(bench_producer, RD_KAFKA_V_TOPIC(names[topic]),
                                    RD_KAFKA_V_KEY(key, strlen(key)), RD_KAFKA_V_VALUE(bytes.data, bytes.len),
                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END))) {
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) die(rd_kafka_err2str(err));
        rd_kafka_poll(bench_producer, 1);
    }
    rd_kafka_poll(bench_producer, 0);
}

void flush_events(void) {
    if (rd_kafka_flush(bench_producer, WAIT_MS)) die("the load was not delivered");
}

__attribute__((format(printf, 2, 3))) static struct wp_str text_of(char *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(out, ID, format, args);
    va_end(args);
    return wp_str(out);
}

static struct wp_str philosophy_of(char *out, const struct load *load, long i) {
    return text_of(out, "p%ld", load->first + i % load->philosophies);
}

void send_acquire(const struct load *load, long i) {
    char id[ID], agent[ID], philosophy[ID];
    struct wp_acquire e = {.request_id = text_of(id, "r-%09ld", i),
                           .agent_id = text_of(agent, "agent-%ld", i % AGENTS),
                           .philosophy = philosophy_of(philosophy, load, i),
                           .timeout_ms = WP_ABSENT,
                           .lease_ms = WP_ABSENT,
                           .cpu_percent = NAN,
                           .memory_mb = NAN};
    send_event(WP_TOPIC_ACQUIRE, id, &e);
}

/* A message key of its own: a copy of it is told apart from one of the acquire. */
void send_release(const struct load *load, long i) {
    char id[ID], key[ID], philosophy[ID];
    struct wp_release e = {.request_id = text_of(id, "r-%09ld", i),
                           .philosophy = philosophy_of(philosophy, load, i),
                           .reuse = true};
    text_of(key, "d-%09ld", i);
    send_event(WP_TOPIC_RELEASE, key, &e);
}

void send_usage(const struct load *load, long i) {
    char id[ID], agent[ID], philosophy[ID];
    struct wp_usage e = {.record_id = text_of(id, "u-%09ld", i),
                         .agent_id = text_of(agent, "agent-%ld", i % AGENTS),
                         .philosophy = philosophy_of(philosophy, load, i),
                         .cpu_percent = (double)(i % 90) + 5,
                         .memory_usage_mb = (double)(i % 400) + 100,
                         .execution_time = (double)(i % 50) + 1};
    send_event(WP_TOPIC_USAGE, id, &e);
}

/* Text that looks like what tools say of themselves: JSON, whose quotes JSON has to escape. */
static struct wp_str value_of(size_t size) {
    static const char pattern[] =
        "{\"name\": \"search\", \"args\": [\"query\", \"limit\"], \"text\": \"finds what was asked for\"}, ";
    static char *value;
    static size_t made;
    if (made < size) {
        if (!(value = realloc(value, size))) die("no memory");
        for (size_t i = 0; i < size; i++) value[i] = pattern[i % (sizeof pattern - 1)];
        made = size;
    }
    return (struct wp_str){value, size};
}

static void send_cache_op(const struct load *load, long i, long key, const char *op) {
    char id[ID], name[ID];
    bool is_set = strcmp(op, "set") == 0;
    struct wp_cache_event e = {.event_id = text_of(id, "c-%09ld", i),
                               .op = wp_str(op),
                               .ns = WP_STR("tool"),
                               .key = text_of(name, "k-%ld", key % load->keys),
                               .has_value = is_set,
                               .ttl_seconds = is_set ? 3600 : WP_ABSENT,
                               .count = WP_ABSENT};
    if (is_set) e.value = value_of(load->value_size);
    send_event(WP_TOPIC_CACHE, id, &e);
}

void send_get(const struct load *load, long i) {
    send_cache_op(load, i, i, "get");
}

void send_set(const struct load *load, long i) {
    send_cache_op(load, i, i, "set");
}

/* The gets read what the sets wrote, when they came round before. */
void send_cache(const struct load *load, long i) {
    send_cache_op(load, i, i / 3, i % 3 == 0 ? "set" : "get");
}

static const struct kind {
    const char *name;
    void (*send)(const struct load *load, long i);
} kinds[] = {{"acquire", send_acquire}, {"release", send_release}, {"usage", send_usage},
             {"get", send_get},         {"set", send_set},         {"cache", send_cache}};

void verb_fill(char **args) {
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, args[0]) == 0) kind = &kinds[i];
    if (!kind) die("fill: no such kind of event");
    long first = number_of(args[1]), count = number_of(args[2]);
    struct load load = {
        .philosophies = number_of(args[3]), .first = number_of(args[4]), .keys = 1, .value_size = 1};
    if (args[5]) load.keys = number_of(args[5]), load.value_size = (size_t)number_of(args[6]);
    int64_t began = wp_clock_us();
    for (long i = 0; i < count; i++) kind->send(&load, first + i);
    flush_events();
    printf("{\"messages\": %ld, \"seconds\": %.3f}\n", count, (double)(wp_clock_us() - began) / 1e6);
}

/* --- a host --- */

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static const char *state_after(const char *op) {
    if (strcmp(op, "create") == 0) return "ready";
    return strcmp(op, "destroy") == 0 ? "gone" : NULL;
}

static void answer_command(json_t *command, const char *host) {
    const char *name = json_string_value(json_object_get(command, "host"));
    const char *op = json_string_value(json_object_get(command, "op"));
    const char *id = json_string_value(json_object_get(command, "container_id"));
    const char *state = op ? state_after(op) : NULL;
    if (!name || !id || !state || strcmp(name, host) != 0) return;
    struct wp_container_event e = {.container_id = wp_str(id),
                                   .philosophy =
                                       wp_str(json_string_value(json_object_get(command, "philosophy"))),
                                   .host = wp_str(host),
                                   .state = wp_str(state),
                                   .queue_ms = NAN,
                                   .create_ms = NAN,
                                   .start_ms = NAN,
                                   .ready_ms = NAN};
    send_event(WP_TOPIC_EVENT, id, &e);
}

static void take_command(const rd_kafka_message_t *m, const char *host) {
    struct wp_buf text = {0};
    struct wp_error error;
    if (wp_wire_decode_json(bench_wire, WP_TOPIC_COMMAND, (struct wp_str){m->payload, m->len}, &text, &error))
        die(error.text);
    json_t *command = json_loadb(text.data, text.len, 0, NULL);
    if (command) answer_command(command, host);
    json_decref(command);
    wp_buf_done(&text);
}

/* A host of containers that cost nothing, so that there can be a hundred thousand: it says that each is ready
 * and makes none. It sends no heartbeats; who starts it has made the host known before. */
void verb_host(char **args) {
    signal(SIGTERM, on_signal);
    char *commands = wp_topic_full_name(&bench_config, WP_TOPIC_COMMAND);
    rd_kafka_t *consumer = reader_from(&commands, 1, false);
    while (!stopped) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (m && !m->err) take_command(m, args[0]);
        if (m) rd_kafka_message_destroy(m);
    }
    reader_free(consumer);
    free(commands);
    printf("{}\n");
}
