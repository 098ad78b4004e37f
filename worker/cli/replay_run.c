/* The replay's loop: owns the clients, the state of every run and the times of the releases. */
#include "cli/due.h"
#include "cli/kafka.h"
#include "kafka/reader.h"
#include "cli/replay_run.h"
#include "cli/replay_report.h"
#include "core/clock.h"
#include "registry/schemas.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BATCH 500         /* records handled before the clock is read again */
#define FLUSH_MS 30000    /* longest wait for deliveries */
#define WAIT_MS 10        /* longest wait for a record */
#define QUIET_US 1500000  /* end after this long without a record: predictions come within 1 s */
#define SETTLE_US 8000000 /* longest wait for that silence */

enum run_state { /* waiting -> asked -> holding -> released, or asked -> refused */
                 RUN_WAITING,
                 RUN_ASKED,
                 RUN_HOLDING,
                 RUN_RELEASED,
                 RUN_REFUSED,
};

struct run {
    int64_t asked_us;
    enum run_state state;
};

struct replay {
    const struct wp_trace *trace;
    const struct wp_replay_options *options;
    struct wp_cli_producer producer;
    struct wp_reader reader;
    struct wp_schemas schemas;
    struct run *runs; /* one for each of the trace's */
    size_t arrived;   /* runs[0 .. arrived) have asked */
    struct wp_due releases;
    uint64_t open, cache_open;
    int64_t zero_us; /* when at_ms of the trace is 0 */
    int64_t began_us, last_answer_us, last_record_us;
    struct wp_histogram second; /* the answers of the second that has begun */
    int64_t second_ends_us;
    char prefix[40];  /* of all ids of this replay */
    char warm_id[80]; /* of the event that is answered before the first run begins */
    bool warm;
    struct wp_buf scratch, text;
    struct wp_replay_result *result;
    struct wp_error *error;
};

static int64_t scaled_us(const struct replay *r, int64_t ms) {
    return (int64_t)((double)ms * 1000.0 / r->options->speed);
}

static const char *philosophy(const struct replay *r, size_t number) {
    return r->trace->names[r->trace->runs[number].philosophy];
}

/* "<prefix><kind><number>" <-> number. The prefix tells this replay's ids from those of other clients. */
static struct wp_str id_write(const struct replay *r, char kind, size_t number, char *buf, size_t size) {
    return (struct wp_str){buf, (size_t)snprintf(buf, size, "%s%c%zu", r->prefix, kind, number)};
}

static bool id_read(const struct replay *r, char kind, const char *id, size_t *ret_number) {
    size_t len = strlen(r->prefix);
    if (!id || strncmp(id, r->prefix, len) != 0 || id[len] != kind) return false;
    char *end;
    unsigned long long number = strtoull(id + len + 1, &end, 10);
    *ret_number = (size_t)number;
    return end != id + len + 1 && *end == '\0' && number < r->arrived;
}

static enum wp_err publish(struct replay *r, enum wp_topic topic, struct wp_str key, const void *event) {
    wp_buf_reset(&r->scratch);
    wp_wire_encode(r->schemas.wire, topic, event, &r->scratch);
    r->result->events++;
    return wp_cli_producer_send(&r->producer, topic, key, wp_buf_str(&r->scratch), r->error);
}

/* --- what a run does --- */

static enum wp_err ask_cache(struct replay *r, size_t number) {
    char id[80];
    struct wp_cache_event get = {
        .event_id = id_write(r, 'g', number, id, sizeof(id)),
        .op = WP_STR("get"),
        .ns = WP_STR("tool"),
        .key = wp_str(philosophy(r, number)),
        .ttl_seconds = WP_ABSENT,
        .count = WP_ABSENT,
    };
    r->cache_open++;
    return publish(r, WP_TOPIC_CACHE, get.event_id, &get);
}

static enum wp_err fill_cache(struct replay *r, size_t number) {
    char id[80], value[160];
    int len =
        snprintf(value, sizeof(value), "{\"name\":\"%s\",\"type\":\"function\"}", philosophy(r, number));
    struct wp_cache_event set = {
        .event_id = id_write(r, 's', number, id, sizeof(id)),
        .op = WP_STR("set"),
        .ns = WP_STR("tool"),
        .key = wp_str(philosophy(r, number)),
        .value = {value, (size_t)len},
        .has_value = true,
        .ttl_seconds = WP_ABSENT,
        .count = WP_ABSENT,
    };
    r->cache_open++;
    return publish(r, WP_TOPIC_CACHE, set.event_id, &set);
}

static enum wp_err arrive(struct replay *r, size_t number) {
    char id[80], agent[32];
    struct wp_acquire acquire = {
        .request_id = id_write(r, 'r', number, id, sizeof(id)),
        .agent_id = {agent, (size_t)snprintf(agent, sizeof(agent), "agent-%zu", number % 1000)},
        .philosophy = wp_str(philosophy(r, number)),
        .timeout_ms = WP_ABSENT,
        .lease_ms = WP_ABSENT,
        .cpu_percent = NAN,
        .memory_mb = NAN,
    };
    r->runs[number] = (struct run){.asked_us = wp_clock_us(), .state = RUN_ASKED};
    r->arrived = number + 1;
    r->open++;
    r->result->acquires++;
    enum wp_err err = publish(r, WP_TOPIC_ACQUIRE, acquire.request_id, &acquire);
    return err ? err : ask_cache(r, number);
}

static enum wp_err leave(struct replay *r, size_t number) {
    const struct wp_trace_run *run = &r->trace->runs[number];
    char id[80], record[80], agent[32];
    struct wp_release release = {.request_id = id_write(r, 'r', number, id, sizeof(id)),
                                 .philosophy = wp_str(philosophy(r, number)),
                                 .reuse = true};
    struct wp_usage usage = {
        .record_id = id_write(r, 'u', number, record, sizeof(record)),
        .agent_id = {agent, (size_t)snprintf(agent, sizeof(agent), "agent-%zu", number % 1000)},
        .philosophy = release.philosophy,
        .cpu_percent = run->cpu_percent,
        .memory_usage_mb = run->memory_mb,
        .execution_time = (double)run->hold_ms / 1000.0,
    };
    if (r->runs[number].state != RUN_HOLDING) return WP_OK; /* lost meanwhile */
    r->runs[number].state = RUN_RELEASED;
    enum wp_err err = publish(r, WP_TOPIC_RELEASE, release.request_id, &release);
    return err ? err : publish(r, WP_TOPIC_USAGE, usage.agent_id, &usage);
}

/* --- what comes back --- */

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void on_first_answer(struct replay *r, size_t number, const json_t *answer) {
    struct run *run = &r->runs[number];
    struct wp_replay_result *result = r->result;
    int64_t now = wp_clock_us();
    r->open--;
    r->last_answer_us = now;
    if (strcmp(text_of(answer, "status"), "assigned") == 0) {
        wp_histogram_add(&result->acquire, now - run->asked_us);
        wp_histogram_add(&r->second, now - run->asked_us);
        result->assigned++;
        if (json_is_true(json_object_get(answer, "warm_start"))) result->warm++;
        run->state = RUN_HOLDING;
        wp_due_add(&r->releases, now + scaled_us(r, r->trace->runs[number].hold_ms), number);
        return;
    }
    run->state = RUN_REFUSED;
    if (result->rejected++ == 0)
        snprintf(result->rejected_reason, sizeof(result->rejected_reason), "%s", text_of(answer, "reason"));
}

static void on_assignment(struct replay *r, const json_t *answer) {
    size_t number;
    if (!id_read(r, 'r', text_of(answer, "request_id"), &number)) return;
    struct run *run = &r->runs[number];
    if (strcmp(text_of(answer, "status"), "lost") == 0) {
        r->result->lost++;
        if (run->state == RUN_HOLDING) run->state = RUN_RELEASED;
    } else if (run->state == RUN_ASKED) {
        on_first_answer(r, number, answer);
    } else {
        r->result->repeated++;
    }
}

static enum wp_err on_cache_result(struct replay *r, const json_t *answer) {
    size_t number;
    const char *id = text_of(answer, "event_id");
    if (strcmp(id, r->warm_id) == 0) {
        r->warm = true;
        return WP_OK;
    }
    if (id_read(r, 's', id, &number)) {
        r->cache_open--;
        return WP_OK;
    }
    if (!id_read(r, 'g', id, &number)) return WP_OK;
    r->cache_open--;
    r->result->lookups++;
    if (json_is_true(json_object_get(answer, "hit"))) {
        r->result->hits++;
        return WP_OK;
    }
    return fill_cache(r, number);
}

static void on_dead_letter(struct replay *r, const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    const void *reason = "";
    size_t len = 0;
    if (r->result->dead_letters++ > 0) return;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_header_get_last(headers, "reason", &reason, &len);
    snprintf(r->result->dead_letter_reason, sizeof(r->result->dead_letter_reason), "%.*s", (int)len,
             (const char *)reason);
}

static enum wp_err on_answer(struct replay *r, enum wp_topic topic, const rd_kafka_message_t *message) {
    wp_buf_reset(&r->text);
    enum wp_err err = wp_schemas_decode(&r->schemas, topic, (struct wp_str){message->payload, message->len},
                                        &r->text, r->error);
    if (err) return err;
    json_t *answer = json_loadb(r->text.data, r->text.len, JSON_ALLOW_NUL, NULL);
    if (topic == WP_TOPIC_ASSIGNMENT)
        on_assignment(r, answer);
    else
        err = on_cache_result(r, answer);
    json_decref(answer);
    return err;
}

static enum wp_err on_record(struct replay *r, const rd_kafka_message_t *message) {
    r->last_record_us = wp_clock_us();
    enum wp_topic topic = wp_reader_topic(&r->reader, message);
    switch (topic) {
    case WP_TOPIC_ASSIGNMENT:
    case WP_TOPIC_CACHE_RESULT:
        return on_answer(r, topic, message);
    case WP_TOPIC_PREDICTION:
        r->result->predictions++;
        return WP_OK;
    case WP_TOPIC_DEAD_LETTER:
        on_dead_letter(r, message);
        return WP_OK;
    default:
        return WP_OK;
    }
}

/* --- the loop --- */

static int wait_ms(int64_t next_us) {
    int64_t left = (next_us - wp_clock_us()) / 1000;
    return left < 0 ? 0 : left < WAIT_MS ? (int)left + 1 : WAIT_MS;
}

static enum wp_err take_records(struct replay *r, int64_t next_us) {
    int timeout = wait_ms(next_us);
    enum wp_err err = WP_OK;
    for (int i = 0; i < BATCH && !err; i++, timeout = 0) {
        rd_kafka_message_t *message = wp_reader_next(&r->reader, timeout);
        if (!message) break;
        err = on_record(r, message);
        rd_kafka_message_destroy(message);
    }
    wp_cli_producer_poll(&r->producer);
    return err;
}

static bool stopped(const struct replay *r) {
    return r->options->stop && *r->options->stop;
}

/* Waits until a worker has answered one cache event, so that the seconds in which a worker joins its group,
 * or a producer gets its id from Kafka, are not measured. */
static enum wp_err warm_up(struct replay *r) {
    struct wp_cache_event get = {
        .event_id = id_write(r, 'w', 0, r->warm_id, sizeof(r->warm_id)),
        .op = WP_STR("get"),
        .ns = WP_STR("tool"),
        .key = WP_STR("replay"),
        .ttl_seconds = WP_ABSENT,
        .count = WP_ABSENT,
    };
    enum wp_err err = publish(r, WP_TOPIC_CACHE, get.event_id, &get);
    int64_t give_up_us = wp_clock_us() + r->options->wait_ms * 1000;
    while (!err && !r->warm && !stopped(r)) {
        if (wp_clock_us() > give_up_us)
            return wp_fail(r->error, WP_ERR_KAFKA,
                           "no worker answered within %lld s; is one running, and ready?",
                           (long long)r->options->wait_ms / 1000);
        err = take_records(r, INT64_MAX);
    }
    return err;
}

static int64_t next_arrival_us(const struct replay *r) {
    if (r->arrived == r->trace->count || stopped(r)) return INT64_MAX;
    return r->zero_us + scaled_us(r, r->trace->runs[r->arrived].at_ms);
}

/* A replay that is stopped releases at once what it holds. */
static bool release_is_due(const struct replay *r) {
    int64_t next = wp_due_next(&r->releases);
    return next != INT64_MAX && (stopped(r) || next <= wp_clock_us());
}

static enum wp_err do_what_is_due(struct replay *r) {
    enum wp_err err = WP_OK;
    while (!err && next_arrival_us(r) <= wp_clock_us()) err = arrive(r, r->arrived);
    while (!err && release_is_due(r)) err = leave(r, wp_due_take(&r->releases));
    return err;
}

static void end_second(struct replay *r, int64_t now) {
    if (now < r->second_ends_us) return;
    r->result->second = r->second;
    wp_histogram_reset(&r->second);
    r->second_ends_us = now + 1000000;
}

/* The columns of the terminal that a line may fill, 0: it is none, or does not say. */
static int columns(void) {
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 0;
}

static void print_progress(struct replay *r, int64_t *next_us) {
    int64_t now = wp_clock_us();
    end_second(r, now);
    if (!r->options->live_line || now < *next_us) return;
    bool terminal = isatty(STDERR_FILENO);
    *next_us = now + (terminal ? 200000 : 1000000);
    if (terminal) fputs("\r\033[K", stderr);
    wp_replay_print_line(r->result, (double)(now - r->began_us) / 1e6, columns(), stderr);
    if (!terminal) fputc('\n', stderr);
    fflush(stderr);
}

/* Returns when every run is answered and released. Waits for answers for wait_ms after the last arrival. */
static enum wp_err run_all(struct replay *r) {
    int64_t print_us = 0, give_up_us = INT64_MAX;
    for (;;) {
        enum wp_err err = do_what_is_due(r);
        if (err) return err;
        int64_t arrival = next_arrival_us(r), release = wp_due_next(&r->releases);
        if (arrival == INT64_MAX && give_up_us == INT64_MAX)
            give_up_us = wp_clock_us() + r->options->wait_ms * 1000;
        bool over = arrival == INT64_MAX && release == INT64_MAX && r->open == 0 && r->cache_open == 0;
        if (over || (wp_clock_us() > give_up_us && release == INT64_MAX)) return WP_OK;
        print_progress(r, &print_us);
        err = take_records(r, arrival < release ? arrival : release);
        if (err) return err;
    }
}

/* Waits for the predictions and dead letters of the last events, until none has come for QUIET_US. */
static enum wp_err settle(struct replay *r) {
    int64_t since = wp_clock_us();
    enum wp_err err = wp_cli_producer_flush(&r->producer, FLUSH_MS, r->error);
    if (r->last_record_us < since) r->last_record_us = since;
    while (!err && wp_clock_us() < r->last_record_us + QUIET_US && wp_clock_us() < since + SETTLE_US)
        err = take_records(r, INT64_MAX);
    return err;
}

static enum wp_err open_clients(struct replay *r, const struct wp_config *config) {
    static const enum wp_topic in[] = {WP_TOPIC_ACQUIRE, WP_TOPIC_RELEASE, WP_TOPIC_USAGE, WP_TOPIC_CACHE};
    static const enum wp_topic out[] = {WP_TOPIC_ASSIGNMENT, WP_TOPIC_CACHE_RESULT, WP_TOPIC_PREDICTION,
                                        WP_TOPIC_DEAD_LETTER};
    unsigned written = 0;
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) written |= 1u << in[i];
    enum wp_err err = wp_schemas_open(&r->schemas, config, written, r->error);
    if (!err)
        err = wp_cli_producer_open(&r->producer, config, in, sizeof(in) / sizeof(in[0]), 10000, r->error);
    if (!err)
        err = wp_reader_open(&r->reader, config, out, sizeof(out) / sizeof(out[0]), WP_READ_FROM_END, 10000,
                             r->error);
    return err;
}

enum wp_err wp_replay_run(const struct wp_config *config, const struct wp_trace *trace,
                          const struct wp_replay_options *options, struct wp_replay_result *ret,
                          struct wp_error *error) {
    *ret = (struct wp_replay_result){.philosophies = trace->names_count};
    struct replay r = {.trace = trace, .options = options, .result = ret, .error = error};
    r.runs = wp_calloc(trace->count, sizeof(*r.runs));
    snprintf(r.prefix, sizeof(r.prefix), "replay-%" PRIx64 "-%lx-", wp_clock_wall_ms(), (long)getpid());
    enum wp_err err = open_clients(&r, config);
    if (!err) err = warm_up(&r);
    if (!err) {
        r.began_us = r.last_answer_us = wp_clock_us();
        r.second_ends_us = r.began_us + 1000000;
        r.zero_us = r.began_us - scaled_us(&r, trace->runs[0].at_ms);
        err = run_all(&r);
    }
    if (!err) {
        ret->duration_seconds = (double)(r.last_answer_us - r.began_us) / 1e6;
        err = settle(&r);
    }
    ret->unanswered = r.open;
    ret->cache_unanswered = r.cache_open;
    if (options->live_line && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    wp_reader_close(&r.reader);
    wp_cli_producer_close(&r.producer);
    wp_schemas_close(&r.schemas);
    wp_due_done(&r.releases);
    wp_buf_done(&r.scratch);
    wp_buf_done(&r.text);
    free(r.runs);
    return err;
}
