/* `warmpool replay TRACE`: the subcommand around replay_run.c. */
#include "cli/replay_report.h"
#include "cli/replay_run.h"
#include "cli/command.h"
#include "cli/inherited.h"
#include "cli/options.h"
#include "wire/text.h"

#include <errno.h>
#include <stdlib.h>

enum { ANSWER_SLACK_MS = 15000 }; /* added to pool.timeout_ms, after which a request is rejected */

static const char *speed_text, *duration_text;
static bool json;
static volatile sig_atomic_t stopped;

static const struct wp_option options[] = {
    {"speed", "FACTOR", "run the trace that many times faster (default 1)", &speed_text},
    {"duration", "SECONDS", "run the trace at the speed that ends its arrivals after that long",
     &duration_text},
    {"json", NULL, "end with one line of JSON, the closing figures", &json},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_replay = {
    .name = "replay",
    .summary = "publish a recorded trace and measure the answers",
    .arguments = "TRACE",
    .text = "Publishes a recorded trace: each run acquires a container, holds it as long as recorded, "
            "releases it and records "
            "its usage, and looks up its tool in the cache. Times are scaled. Prints what happened; exit "
            "code 1 when an "
            "acquire was not answered.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .values = "FILE",
    .examples = "warmpool replay --duration 60 trace.csv",
    .run = run_subcommand,
};

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static enum wp_err read_factor(const char *text, const char *name, double *ret, struct wp_error *error) {
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    if (end != text && *end == '\0' && !errno && *ret > 0 && *ret < 1e9) return WP_OK;
    return wp_fail(error, WP_ERR_CONFIG, "--%s %s is no number above 0", name, text);
}

static enum wp_err read_speed(const struct wp_trace *trace, double *ret, struct wp_error *error) {
    *ret = 1;
    if (speed_text && duration_text)
        return wp_fail(error, WP_ERR_CONFIG, "--speed and --duration say the same; give one of them");
    if (speed_text) return read_factor(speed_text, "speed", ret, error);
    if (!duration_text) return WP_OK;
    double seconds;
    enum wp_err err = read_factor(duration_text, "duration", &seconds, error);
    double recorded = (double)(trace->runs[trace->count - 1].at_ms - trace->runs[0].at_ms) / 1000.0;
    if (!err && recorded > 0) *ret = recorded / seconds;
    return err;
}

static void print_result(const struct wp_replay_result *result) {
    wp_replay_print_table(result, stdout);
    if (!json) return;
    json_t *object = wp_replay_json(result);
    (void)text_json_line(object);
    json_decref(object);
}

static int replay(const struct wp_config *config, const struct wp_trace *trace) {
    struct wp_error error = {0};
    struct wp_replay_result result;
    struct wp_replay_options how = {
        .live_line = true, .wait_ms = config->pool.timeout_ms + ANSWER_SLACK_MS, .stop = &stopped};
    if (read_speed(trace, &how.speed, &error)) return wp_options_fail(&wp_cli_replay, WP_EXIT_USAGE, &error);
    if (wp_replay_run(config, trace, &how, &result, &error))
        return wp_options_fail(&wp_cli_replay, WP_EXIT_FAILED, &error);
    print_result(&result);
    if (!result.unanswered && !result.cache_unanswered) return WP_EXIT_OK;
    wp_fail(&error, WP_ERR_KAFKA,
            "%llu acquires and %llu cache events were not answered; is a worker running, and ready?",
            (unsigned long long)result.unanswered, (unsigned long long)result.cache_unanswered);
    return wp_options_fail(&wp_cli_replay, WP_EXIT_FAILED, &error);
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    struct wp_trace trace;
    struct wp_error error = {0};
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_replay, argc, argv, &config, &parsed, &code)) return code;
    wp_catch_interrupt(on_signal);
    if (wp_trace_load(&trace, parsed.args[0], &error)) {
        code = wp_options_fail(&wp_cli_replay, WP_EXIT_FAILED, &error);
    } else {
        code = replay(&config, &trace);
        wp_trace_done(&trace);
    }
    wp_config_done(&config);
    return code;
}
