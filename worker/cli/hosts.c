/* `warmpool hosts`: lists the hosts that Redis knows, shows the containers of one, and forgets one that never
 * returns (hosts_forget.c). */
#include "cli/hosts_forget.h"
#include "cli/hosts_read.h"
#include "cli/command.h"
#include "cli/options.h"
#include "wire/text.h"

#include <stdio.h>
#include <stdlib.h>

static bool as_json;
static const char *timeout_text = "30";

static const struct wp_option options[] = {
    {"json", NULL, "one line of JSON instead of a table", &as_json},
    {"timeout", "SECONDS", "how long forget waits until a worker has done it (30)", &timeout_text},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_hosts = {
    .name = "hosts",
    .summary = "list the hosts, and forget one that never returns",
    .arguments = "[show NAME | forget NAME]",
    .text =
        "Lists the hosts as Redis knows them. show: the containers of one. forget: gives up a host that "
        "never "
        "returns, without waiting for host.keep_ms or host.ttl_ms: its leases are lost (host_forgotten), and "
        "other hosts make up for its containers. A host whose worker is alive is not forgotten.",
    .options = options,
    .max_args = 2,
    .values = "show,forget",
    .examples = "warmpool hosts show host-1\n"
                "warmpool hosts forget host-2",
    .run = run_subcommand,
};

/* "3 s", "12 min", "5 h": long for a column is enough. */
static const char *span(char *out, size_t size, double ms) {
    double s = ms / 1000;
    if (s < 600)
        snprintf(out, size, "%.0f s ago", s);
    else if (s < 36000)
        snprintf(out, size, "%.0f min ago", s / 60);
    else
        snprintf(out, size, "%.0f h ago", s / 3600);
    return out;
}

static double number(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name) {
    const char *value = json_string_value(json_object_get(object, name));
    return value && *value ? value : "-";
}

static void print_memory(char *out, size_t size, const json_t *host) {
    if (number(host, "memory_mb") > 0)
        snprintf(out, size, "%.0f/%.0f", number(host, "memory_used_mb"), number(host, "memory_mb"));
    else
        snprintf(out, size, "%.0f", number(host, "memory_used_mb"));
}

static void print_host(const char *name, const json_t *host) {
    char memory[40], ago[40];
    const json_t *has = json_object_get(host, "containers");
    double idle = number(has, "idle") + number(has, "paused"),
           leased = number(has, "leased") + number(has, "binding"), ending = number(has, "ending"),
           all = number(host, "used");
    print_memory(memory, sizeof memory, host);
    printf("%-24s %-9s %-8s %6.0f %6.0f %6.0f %6.0f %8.0f %13s %-11s %s\n", name, text(host, "state"),
           text(host, "runtime"), idle, leased, ending,
           all > idle + leased + ending ? all - idle - leased - ending : 0, number(host, "capacity"), memory,
           span(ago, sizeof ago, number(host, "heartbeat_ms")), text(host, "worker"));
}

static void print_table(const json_t *all) {
    const char *name;
    char ago[40];
    json_t *host, *hosts = json_object_get(all, "hosts"), *gone = json_object_get(all, "gone");
    if (json_object_size(hosts) + json_object_size(gone) == 0) {
        puts("no host: set host.name on a worker, or no container will ever be made");
        return;
    }
    printf("%-24s %-9s %-8s %6s %6s %6s %6s %8s %13s %-11s %s\n", "HOST", "STATE", "RUNTIME", "IDLE",
           "LEASED", "ENDING", "OTHER", "CAPACITY", "MEMORY MB", "HEARTBEAT", "WORKER");
    json_object_foreach(hosts, name, host) print_host(name, host);
    json_object_foreach(gone, name, host)
        printf("%-24s %-9s %s\n", name, "gone", span(ago, sizeof ago, number(host, "gone_ms")));
}

static enum wp_err list(redisContext *redis, const struct wp_config *config, struct wp_error *error) {
    json_t *all = NULL;
    enum wp_err err = wp_hosts_read(&all, redis, config, error);
    if (err) return err;
    const char *name;
    json_t *host;
    json_object_foreach(json_object_get(all, "hosts"), name, host) {
        json_t *counts = NULL;
        err = wp_host_count(&counts, redis, config, name, error);
        if (err) break;
        json_object_set_new(host, "containers", counts);
    }
    if (!err && as_json) (void)text_json_line(all);
    if (!err && !as_json) print_table(all);
    json_decref(all);
    return err;
}

static void print_container(const json_t *container) {
    printf("%-48s %-24s %-10s %s\n", text(container, "container_id"), text(container, "philosophy"),
           text(container, "state"), text(container, "request_id"));
}

static enum wp_err check_known(redisContext *redis, const struct wp_config *config, const char *name,
                               struct wp_error *error) {
    json_t *all = NULL;
    enum wp_err err = wp_hosts_read(&all, redis, config, error);
    if (!err && !json_object_get(json_object_get(all, "hosts"), name) &&
        !json_object_get(json_object_get(all, "gone"), name))
        err = wp_fail(error, WP_ERR_DATA,
                      "Redis does not know a host %s; `warmpool hosts` lists those that it knows", name);
    json_decref(all);
    return err;
}

static enum wp_err show(redisContext *redis, const struct wp_config *config, const char *name,
                        struct wp_error *error) {
    json_t *containers = NULL, *container;
    size_t i;
    enum wp_err err = wp_host_containers(&containers, redis, config, name, error);
    if (err) return err;
    if (json_array_size(containers) == 0 && check_known(redis, config, name, error)) {
        json_decref(containers);
        return error->code;
    }
    if (as_json) {
        (void)text_json_line(containers);
    } else {
        printf("%-48s %-24s %-10s %s\n", "CONTAINER", "POOL", "STATE", "REQUEST");
        json_array_foreach(containers, i, container) print_container(container);
    }
    json_decref(containers);
    return WP_OK;
}

static enum wp_err check_arguments(const struct wp_parsed *parsed, struct wp_error *error) {
    char *end;
    double timeout = strtod(timeout_text, &end);
    if (*end || end == timeout_text || !(timeout >= 0 && timeout <= 86400))
        return wp_fail(error, WP_ERR_CONFIG, "--timeout must be 0 to 86400 seconds, not %s", timeout_text);
    if (parsed->count == 0) return WP_OK;
    const char *verb = parsed->args[0];
    if (strcmp(verb, "show") != 0 && strcmp(verb, "forget") != 0)
        return wp_fail(error, WP_ERR_CONFIG, "%s is nothing that can be done with hosts; show and forget are",
                       verb);
    if (parsed->count < 2)
        return wp_fail(error, WP_ERR_CONFIG, "%s needs the name of a host; `warmpool hosts` lists them",
                       verb);
    return WP_OK;
}

static enum wp_err run(const struct wp_config *config, const struct wp_parsed *parsed,
                       struct wp_error *error) {
    redisContext *redis;
    enum wp_err err = wp_redis_connect(&redis, config, WP_SLOT_POOL, error);
    if (err) return err;
    if (parsed->count == 0)
        err = list(redis, config, error);
    else if (strcmp(parsed->args[0], "show") == 0)
        err = show(redis, config, parsed->args[1], error);
    else
        err = wp_host_forget(redis, config, parsed->args[1], strtod(timeout_text, NULL), error);
    redisFree(redis);
    return err;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    struct wp_error error = {0};
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_hosts, argc, argv, &config, &parsed, &code)) return code;
    if (check_arguments(&parsed, &error))
        code = wp_options_fail(&wp_cli_hosts, WP_EXIT_USAGE, &error);
    else if (run(&config, &parsed, &error))
        code = wp_options_fail(&wp_cli_hosts, WP_EXIT_FAILED, &error);
    wp_config_done(&config);
    return code;
}
