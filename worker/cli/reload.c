/* `warmpool reload`: has the worker of this machine read its configuration again, and prints what came of it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "cli/command.h"
#include "cli/options.h"
#include "cli/reload_result.h"
#include "cli/worker_http.h"

static int run_subcommand(int argc, char **argv);

static const char *pid_text;
static bool as_json;

static const struct wp_option options[] = {
    {"pid", "PID",
     "where http.listen says no port, send SIGHUP to this process instead; its log has the result",
     &pid_text},
    {"json", NULL, "print the worker's answer as it is", &as_json},
    {NULL, NULL, NULL, NULL},
};

const struct wp_subcommand wp_cli_reload = {
    .name = "reload",
    .summary = "have a running worker read its configuration again",
    .arguments = "",
    .text =
        "Has the worker that runs on this machine read its own file and environment again, all or nothing, "
        "and prints each key that has changed, and those that wait for a restart. The worker is found at "
        "the http.listen of the configuration that this command is given, so give it the worker's. Exit "
        "code 1, with the reason, when the worker goes on as before.",
    .examples =
        "warmpool reload -c /etc/warmpool/warmpool.ini\nwarmpool reload -o http.listen=127.0.0.1:9465",
    .options = options,
    .run = run_subcommand,
};

static enum wp_err send_hangup(const char *text, struct wp_error *error) {
    char *end;
    long pid = strtol(text, &end, 10);
    if (*end || pid <= 1)
        return wp_fail(error, WP_ERR_CONFIG, "--pid %s: the number of a process is wanted", text);
    if (kill((pid_t)pid, SIGHUP) != 0)
        return wp_fail(error, WP_ERR_SYSTEM, "process %ld cannot be sent SIGHUP: %s", pid, strerror(errno));
    printf("sent SIGHUP to process %ld; its log says what came of it (reloaded, reload_failed)\n", pid);
    return WP_OK;
}

static enum wp_err ask_worker(const struct wp_config *config, struct wp_error *error) {
    json_t *json;
    enum wp_err err = wp_worker_http(config, "POST", "/reload", &json, error);
    if (err) return err;
    if (as_json) {
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    if (!json_is_true(json_object_get(json, "ok"))) {
        const char *why = json_string_value(json_object_get(json, "error"));
        err = wp_fail(error, WP_ERR_CONFIG, "the worker goes on as before: %s",
                      why ? why : "it did not say why");
    } else if (!as_json) {
        wp_reload_result_print(json, stdout);
    }
    json_decref(json);
    return err;
}

static int run(const struct wp_config *config) {
    struct wp_error error = {0};
    enum wp_err err;
    if (wp_worker_http_is_known(config))
        err = ask_worker(config, &error);
    else if (pid_text)
        err = send_hangup(pid_text, &error);
    else
        err = wp_fail(
            &error, WP_ERR_CONFIG,
            "http.listen = \"%s\" names no port at which the worker could be asked; give its port (-o "
            "http.listen=127.0.0.1:PORT), or its process (--pid PID)",
            config->http.listen);
    return err ? wp_options_fail(&wp_cli_reload, WP_EXIT_FAILED, &error) : WP_EXIT_OK;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_reload, argc, argv, &config, &parsed, &code)) return code;
    code = run(&config);
    wp_config_done(&config);
    return code;
}
