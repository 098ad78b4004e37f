/* `warmpool check`: tries the configuration and every connection. Prints one line for each, with how to mend
 * what is wrong. */
#include "kafka/admin.h"
#include "kafka/conf.h"
#include "cli/check_diff.h"
#include "cli/check_docker.h"
#include "cli/check_redis.h"
#include "cli/check_registry.h"
#include "cli/command.h"
#include "cli/options.h"
#include "ops/http_address.h"
#include "trace/exporter.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KAFKA_MS = 10000, COLLECTOR_MS = 10000 };

static int run_subcommand(int argc, char **argv);

static bool with_diff;

static const struct wp_option options[] = {
    {"diff", NULL,
     "instead print what differs from the configuration of the worker that runs on this machine, which is "
     "asked "
     "at http.listen (but for secrets); exit code 1 when something does",
     &with_diff},
    {NULL, NULL, NULL, NULL},
};

const struct wp_subcommand wp_cli_check = {
    .name = "check",
    .summary = "try the configuration and every connection",
    .arguments = "",
    .text = "Tries the configuration and every connection and says what is wrong and how to mend it. Changes "
            "nothing. Exit code 1 "
            "when a worker could not work.",
    .examples =
        "warmpool check -c /etc/warmpool/warmpool.ini\nwarmpool check --diff -c /etc/warmpool/warmpool.ini",
    .options = options,
    .run = run_subcommand,
};

static void check_wire(struct wp_check *check) {
    struct wp_wire *wire = NULL;
    struct wp_error error;
    if (wp_wire_new(&wire, check->config, &error))
        wp_check_say(check, WP_CHECK_FAILED, "wire", "%s", error.text);
    else
        wp_check_say(check, WP_CHECK_OK, "wire", "schemas and ids are in order");
    if (wire) wp_check_registry(check, wire);
    wp_wire_free(wire);
}

static void check_message_size(struct wp_check *check) {
    int64_t bytes, own = wp_kafka_message_max(check->config);
    char *topic = NULL;
    struct wp_error error;
    if (wp_admin_message_limit(check->config, &bytes, &topic, &error))
        wp_check_say(check, WP_CHECK_FAILED, "message size", "%s", error.text);
    else if (own > bytes)
        wp_check_say(check, WP_CHECK_FAILED, "message size",
                     "%s takes %lld bytes, less than kafka.message.max.bytes = %lld; raise its "
                     "max.message.bytes, or set kafka.message.max.bytes = %lld",
                     topic, (long long)bytes, (long long)own, (long long)bytes);
    else
        wp_check_say(check, WP_CHECK_OK, "message size", "every topic takes what a worker sends");
    free(topic);
}

/* A request's age includes its time in Kafka only where the broker sets the record's timestamp. */
static void check_time(struct wp_check *check) {
    char *topics = NULL;
    struct wp_error error;
    if (wp_admin_producers_time(check->config, &topics, &error))
        wp_check_say(check, WP_CHECK_FAILED, "topic time", "%s", error.text);
    else if (topics[0])
        wp_check_say(
            check, WP_CHECK_ADVICE, "topic time",
            "records of %s have their producer's time (CreateTime): the age of a request counts from when a "
            "worker "
            "took it; set message.timestamp.type = LogAppendTime, so that time spent in Kafka counts, too",
            topics);
    else
        wp_check_say(check, WP_CHECK_OK, "topic time", "input topics have the broker's time");
    free(topics);
}

static void check_kafka(struct wp_check *check) {
    char *cluster = NULL, *missing = NULL;
    struct wp_error error;
    if (wp_admin_check(check->config, KAFKA_MS, &cluster, &missing, &error)) {
        wp_check_say(check, WP_CHECK_FAILED, "kafka", "%s", error.text);
        return;
    }
    wp_check_say(check, WP_CHECK_OK, "kafka", "cluster %s at %s", cluster,
                 wp_settings_get(&check->config->kafka, "bootstrap.servers"));
    if (missing[0])
        wp_check_say(check, WP_CHECK_OK, "topics", "a worker will make what is missing: %s", missing);
    else
        wp_check_say(check, WP_CHECK_OK, "topics", "all are there");
    free(cluster);
    free(missing);
    check_message_size(check);
    check_time(check);
}

/* Binds the address without listening. Returns 0 when it is free, else an errno. */
static int try_bind(const struct addrinfo *address) {
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int err = bind(fd, address->ai_addr, address->ai_addrlen) ? errno : 0;
    close(fd);
    return err;
}

static void check_http(struct wp_check *check) {
    const char *listen = check->config->http.listen;
    struct addrinfo *address = NULL;
    struct wp_error error;
    int err;
    if (!*listen)
        wp_check_say(check, WP_CHECK_OK, "http", "off (http.listen is empty)");
    else if (http_address(listen, &address, &error))
        wp_check_say(check, WP_CHECK_FAILED, "http", "%s", error.text);
    else if ((err = try_bind(address)))
        wp_check_say(check, WP_CHECK_FAILED, "http",
                     "http.listen %s: %s; does a worker run here already? choose another port", listen,
                     strerror(err));
    else
        wp_check_say(check, WP_CHECK_OK, "http", "%s is free", listen);
    if (address) freeaddrinfo(address);
}

static void check_traces(struct wp_check *check) {
    struct wp_error error;
    if (!check->config->trace.url[0])
        wp_check_say(check, WP_CHECK_OK, "traces", "off (trace.url is empty)");
    else if (wp_exporter_try(check->config, COLLECTOR_MS, &error))
        wp_check_say(check, error.code == WP_ERR_CONFIG ? WP_CHECK_FAILED : WP_CHECK_ADVICE, "traces",
                     error.code == WP_ERR_CONFIG ? "%s" : "%s; a worker runs all the same, without traces",
                     error.text);
    else
        wp_check_say(check, WP_CHECK_OK, "traces", "the collector at %s takes them",
                     check->config->trace.url);
}

/* Checks whether this user may write, or make, host.claims. Does not make it. */
static void check_claims(struct wp_check *check) {
    const char *folder = check->config->host.claims, *slash = strrchr(folder, '/');
    char *parent = wp_strndup((struct wp_str){folder, slash ? (size_t)(slash - folder) : 0});
    bool there = access(folder, F_OK) == 0;
    if (!*folder)
        wp_check_say(check, WP_CHECK_OK, "claims",
                     "host.claims is empty: acquires with a claim are rejected");
    else if (access(there ? folder : *parent ? parent : "/", W_OK | X_OK) == 0)
        wp_check_say(check, WP_CHECK_OK, "claims", "are put into %s", folder);
    else
        wp_check_say(check, WP_CHECK_FAILED, "claims",
                     "host.claims = %s: %s; name a folder that this user may make, or leave it empty", folder,
                     strerror(errno));
    free(parent);
}

static void check_host(struct wp_check *check) {
    const struct wp_config *config = check->config;
    bool docker = strcmp(config->host.runtime, "docker") == 0;
    if (config->host.name[0] == '\0') {
        wp_check_say(check, WP_CHECK_OK, "host",
                     "host.name is empty: this worker makes no containers, another one has to");
    } else {
        wp_check_say(check, WP_CHECK_OK, "host", "%s makes up to %lld containers with the runtime %s",
                     config->host.name, (long long)config->host.capacity, config->host.runtime);
        check_claims(check);
        if (docker) wp_check_docker(check);
    }
}

static int print_diff(const struct wp_config *config) {
    size_t count = 0;
    struct wp_error error = {0};
    if (wp_check_diff(config, stdout, &count, &error))
        return wp_options_fail(&wp_cli_check, WP_EXIT_FAILED, &error);
    if (count == 0) puts("the worker runs with this configuration");
    return count > 0 ? WP_EXIT_FAILED : WP_EXIT_OK;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_check, argc, argv, &config, &parsed, &code)) return code;
    if (with_diff) {
        code = print_diff(&config);
        wp_config_done(&config);
        return code;
    }
    struct wp_check check = {.config = &config, .out = stdout};
    wp_check_say(&check, WP_CHECK_OK, "configuration", "read");
    check_wire(&check);
    check_kafka(&check);
    wp_check_redis(&check, WP_SLOT_POOL);
    if (config.redis.cache_url[0]) wp_check_redis(&check, WP_SLOT_CACHE);
    check_http(&check);
    check_traces(&check);
    check_host(&check);
    wp_config_done(&config);
    return check.failed ? WP_EXIT_FAILED : WP_EXIT_OK;
}
