/* `warmpool tail TOPIC...`: prints records as JSON lines, as they come. */
#include "cli/command.h"
#include "cli/inherited.h"
#include "kafka/reader.h"
#include "cli/options.h"
#include "cli/record_json.h"
#include "wire/text.h"
#include "core/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, WAIT_MS = 100 };

struct limits {
    bool from_beginning, until_end;
    const char *count_text, *timeout_text;
    long count, timeout_seconds; /* 0: none */
};

static struct limits limits;
static volatile sig_atomic_t stopped;

static const struct wp_option options[] = {
    {"from-beginning", NULL, "what is there already, too (default: from where the topic ends now)",
     &limits.from_beginning},
    {"until-end", NULL, "stop where the topics end", &limits.until_end},
    {"count", "N", "stop after N records", &limits.count_text},
    {"timeout", "SECONDS", "stop after that long; exit code 1 when --count was not reached",
     &limits.timeout_text},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_tail = {
    .name = "tail",
    .summary = "print records as JSON lines",
    .arguments = "TOPIC...",
    .text = "Prints records as JSON lines: topic, partition, offset, timestamp, key, headers, and the "
            "decoded value.",
    .options = options,
    .min_args = 1,
    .max_args = WP_TOPICS,
    .values = "TOPIC",
    .examples = "warmpool tail container-assignment dead-letter\n"
                "warmpool tail --from-beginning --until-end metrics",
    .run = run_subcommand,
};

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static enum wp_err read_number(const char *text, const char *name, long *ret, struct wp_error *error) {
    if (!text) return WP_OK;
    char *end;
    errno = 0;
    *ret = strtol(text, &end, 10);
    if (end != text && *end == '\0' && !errno && *ret > 0 && *ret < 1000000000) return WP_OK;
    return wp_fail(error, WP_ERR_CONFIG, "--%s %s is no whole number above 0", name, text);
}

static enum wp_err read_topics(const struct wp_config *config, const struct wp_parsed *parsed,
                               enum wp_topic *ret_topics, size_t *ret_count, struct wp_error *error) {
    bool seen[WP_TOPICS + 1] = {false};
    for (int i = 0; i < parsed->count; i++) {
        enum wp_topic topic = wp_topic_by_name(config, parsed->args[i]);
        if (topic == WP_TOPICS)
            return wp_fail(error, WP_ERR_CONFIG, "%s is no topic of warmpool; one is %s", parsed->args[i],
                           wp_topics[0].name);
        if (!seen[topic]) ret_topics[(*ret_count)++] = topic;
        seen[topic] = true;
    }
    return WP_OK;
}

static bool print_record(struct wp_schemas *schemas, enum wp_topic topic, const rd_kafka_message_t *message) {
    struct wp_buf line = {0};
    wp_record_json(&line, schemas, topic, message);
    wp_buf_add(&line, "\n", 1);
    bool written = fwrite(line.data, 1, line.len, stdout) == line.len && fflush(stdout) == 0;
    wp_buf_done(&line);
    return written;
}

/* Known before the next record, so that `tail | head -1` ends with its head. */
static bool reader_is_gone(void) {
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP));
}

/* Returns false when the timeout came before --count records. */
static bool print_records(struct wp_reader *reader, struct wp_schemas *schemas) {
    int64_t until_us = limits.timeout_seconds ? wp_clock_us() + limits.timeout_seconds * 1000000 : INT64_MAX;
    long printed = 0;
    while (!stopped && (!limits.count || printed < limits.count)) {
        if (wp_clock_us() >= until_us) return limits.count == 0;
        rd_kafka_message_t *message = wp_reader_next(reader, WAIT_MS);
        if (!message) {
            if (limits.until_end && wp_reader_caught_up(reader)) return true;
            if (reader_is_gone()) return true;
            continue;
        }
        bool written = print_record(schemas, wp_reader_topic(reader, message), message);
        rd_kafka_message_destroy(message);
        if (!written) return true; /* wp_output_end says why */
        printed++;
    }
    return true;
}

static int tail(const struct wp_config *config, const struct wp_parsed *parsed) {
    enum wp_topic topics[WP_TOPICS];
    size_t count = 0;
    struct wp_error error = {0};
    if (read_number(limits.count_text, "count", &limits.count, &error) ||
        read_number(limits.timeout_text, "timeout", &limits.timeout_seconds, &error) ||
        read_topics(config, parsed, topics, &count, &error))
        return wp_options_fail(&wp_cli_tail, WP_EXIT_USAGE, &error);
    struct wp_schemas schemas;
    struct wp_reader reader = {0};
    enum wp_reader_start start = limits.from_beginning ? WP_READ_FROM_BEGINNING : WP_READ_FROM_END;
    int code = WP_EXIT_OK;
    if (wp_schemas_open(&schemas, config, 0, &error) ||
        wp_reader_open(&reader, config, topics, count, start, CONNECT_MS, &error))
        code = wp_options_fail(&wp_cli_tail, WP_EXIT_FAILED, &error);
    else if (!print_records(&reader, &schemas))
        code = WP_EXIT_FAILED;
    wp_reader_close(&reader);
    wp_schemas_close(&schemas);
    return code;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_tail, argc, argv, &config, &parsed, &code)) return code;
    wp_catch_interrupt(on_signal);
    code = tail(&config, &parsed);
    wp_config_done(&config);
    return code;
}
