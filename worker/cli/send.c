/* `warmpool send TOPIC`: JSON lines from standard input become records in the configured wire format. */
#include "cli/command.h"
#include "cli/inherited.h"
#include "cli/kafka.h"
#include "cli/options.h"
#include "wire/scan.h"
#include "registry/schemas.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 10000, DELIVERY_MS = 60000 };

static const char *key_field;
static volatile sig_atomic_t interrupted;

static const struct wp_option options[] = {
    {"key-field", "NAME", "the field that becomes the message key (default: the id that fits the topic)",
     &key_field},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_send = {
    .name = "send",
    .summary = "publish JSON lines from standard input",
    .arguments = "TOPIC",
    .text = "Publishes JSON lines from standard input, one object a line, in the configured wire format "
            "(wire.write). Waits "
            "until all are delivered. A line that cannot be sent is named; the others are sent all the same.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .values = "TOPIC",
    .examples = "echo '{\"request_id\": \"r-1\", \"agent_id\": \"a-7\", \"philosophy\": \"react\"}' | "
                "warmpool send container-acquire\n"
                "warmpool send usage-record <usage.jsonl",
    .run = run_subcommand,
};

static const char *const default_keys[WP_TOPICS] = {
    [WP_TOPIC_ACQUIRE] = "request_id",    [WP_TOPIC_RELEASE] = "request_id",
    [WP_TOPIC_USAGE] = "agent_id",        [WP_TOPIC_CACHE] = "event_id",
    [WP_TOPIC_CONTROL] = "control_id",    [WP_TOPIC_EVENT] = "container_id",
    [WP_TOPIC_ASSIGNMENT] = "request_id", [WP_TOPIC_COMMAND] = "host",
    [WP_TOPIC_CACHE_RESULT] = "event_id", [WP_TOPIC_PREDICTION] = "philosophy",
    [WP_TOPIC_METRICS] = "worker",
};

struct sender {
    struct wp_cli_producer producer;
    struct wp_schemas schemas;
    enum wp_topic topic;
    struct wp_buf bytes;
    size_t sent, bad;
};

/* The record's key: the text of the key field; ptr NULL when that field is missing or not a string. */
static struct wp_str find_key(struct wp_str line, enum wp_topic topic, struct wp_arena *arena) {
    const char *field = key_field ? key_field : default_keys[topic];
    struct scan in = scan_text(line);
    struct scan_value name, value;
    struct wp_str key = {NULL, 0};
    scan_open(&in, '{');
    while (field && !key.ptr && scan_member(&in, &name, &value)) {
        if (wp_str_is(scan_string(&name, arena), field) && value.kind == SCAN_STRING && !value.lone)
            key = scan_string(&value, arena);
    }
    return key;
}

static enum wp_err send_line(struct sender *sender, struct wp_str line, struct wp_error *error) {
    wp_buf_reset(&sender->bytes);
    enum wp_err err = wp_wire_encode_json(sender->schemas.wire, sender->topic, line, &sender->bytes, error);
    if (err) return err;
    struct wp_arena arena = {0};
    struct wp_str key = find_key(line, sender->topic, &arena);
    err = wp_cli_producer_send(&sender->producer, sender->topic, key, wp_buf_str(&sender->bytes), error);
    wp_arena_done(&arena);
    if (!err) sender->sent++;
    return err;
}

static bool is_blank(struct wp_str line) {
    static const char blanks[] = {' ', '\t', '\r', '\n'};
    size_t i = 0;
    while (i < line.len && memchr(blanks, line.ptr[i], sizeof blanks)) i++;
    return i == line.len;
}

/* Reports a line that cannot be sent and goes on; ends early only when Kafka refuses. */
static enum wp_err send_lines(struct sender *sender, FILE *in, struct wp_error *error) {
    char *text = NULL;
    size_t cap = 0;
    ssize_t len;
    enum wp_err err = WP_OK;
    for (long number = 1; err != WP_ERR_KAFKA && (len = getline(&text, &cap, in)) >= 0; number++) {
        struct wp_str line = {text, (size_t)len};
        if (is_blank(line)) continue;
        err = send_line(sender, line, error);
        wp_cli_producer_poll(&sender->producer);
        if (!err || err == WP_ERR_KAFKA) continue;
        sender->bad++;
        fprintf(stderr, "warmpool send: line %ld: %s\n", number, error->text);
    }
    int why = errno;
    free(text);
    if (err == WP_ERR_KAFKA) return err;
    if (interrupted) return wp_fail(error, WP_ERR_SYSTEM, "interrupted; %zu sent before", sender->sent);
    if (ferror(in)) return wp_fail(error, WP_ERR_SYSTEM, "standard input cannot be read: %s", strerror(why));
    return WP_OK;
}

/* What was read is delivered, however the reading ended. */
static enum wp_err flush(struct sender *sender, enum wp_err err, struct wp_error *error) {
    struct wp_error undelivered = {0};
    enum wp_err late = wp_cli_producer_flush(&sender->producer, DELIVERY_MS, &undelivered);
    if (!late) return err;
    return wp_fail(error, late, "%s%s%s", err ? error->text : "", err ? "; " : "", undelivered.text);
}

static enum wp_err send_all(struct sender *sender, const struct wp_config *config, struct wp_error *error) {
    enum wp_err err = wp_schemas_open(&sender->schemas, config, 1u << sender->topic, error);
    if (!err) err = wp_cli_producer_open(&sender->producer, config, &sender->topic, 1, CONNECT_MS, error);
    if (err) return err;
    return flush(sender, send_lines(sender, stdin, error), error);
}

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/* The first signal ends the reading, the second one the process. */
static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    struct wp_error error = {0};
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_send, argc, argv, &config, &parsed, &code)) return code;
    wp_catch_interrupt(on_signal);
    struct sender sender = {.topic = wp_topic_by_name(&config, parsed.args[0])};
    if (sender.topic == WP_TOPICS || sender.topic == WP_TOPIC_DEAD_LETTER) {
        wp_fail(&error, WP_ERR_CONFIG, "%s is no topic that can be sent to; one is %s", parsed.args[0],
                wp_topics[0].name);
        code = wp_options_fail(&wp_cli_send, WP_EXIT_USAGE, &error);
    } else if (send_all(&sender, &config, &error)) {
        code = wp_options_fail(&wp_cli_send, WP_EXIT_FAILED, &error);
    } else {
        fprintf(stderr, "warmpool send: %zu sent, %zu refused\n", sender.sent, sender.bad);
        code = sender.bad ? WP_EXIT_FAILED : WP_EXIT_OK;
    }
    wp_cli_producer_close(&sender.producer);
    wp_schemas_close(&sender.schemas);
    wp_buf_done(&sender.bytes);
    wp_config_done(&config);
    return code;
}
