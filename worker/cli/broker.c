/* `warmpool broker`: a Kafka broker for trying things out, in a process of its own. It is librdkafka's mock
 * cluster: one node in memory, which keeps the last 5 MiB of a partition and forgets everything when it ends.
 * One thread waits for a signal; the broker's threads are librdkafka's. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include "wire/topics.h"
#include "cli/command.h"
#include "cli/options.h"
#include "core/log.h"

static const char *listen_file;

static const struct wp_option options[] = {
    {"listen-file", "FILE", "also write the address into FILE", &listen_file},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_broker = {
    .name = "broker",
    .summary = "run an embedded Kafka broker for trying things out",
    .arguments = "",
    .text = "Runs an embedded Kafka broker with all topics made, prints its address for "
            "kafka.bootstrap.servers, and ends "
            "at SIGTERM or SIGINT. In memory and small: for a demo, not for data.",
    .options = options,
    .examples = "warmpool broker --listen-file /tmp/broker",
    .run = run_subcommand,
};

static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    (void)rk;
    wp_log(level <= 4 ? WP_LOG_WARN : WP_LOG_DEBUG, "broker", "facility=%s text=%s", facility, text);
}

static enum wp_err make_topics(rd_kafka_mock_cluster_t *cluster, const struct wp_config *config,
                               struct wp_error *error) {
    enum wp_err err = WP_OK;
    for (int i = 0; i < WP_TOPICS && !err; i++) {
        char *name = wp_topic_full_name(config, (enum wp_topic)i);
        rd_kafka_resp_err_t failed =
            rd_kafka_mock_topic_create(cluster, name, (int)config->topics.partitions, 1);
        if (failed)
            err = wp_fail(error, WP_ERR_KAFKA, "The broker did not make %s: %s", name,
                          rd_kafka_err2str(failed));
        free(name);
    }
    return err;
}

/* Renamed into place, so that whoever waits for the file finds it complete. */
static enum wp_err write_address(const char *path, const char *address, struct wp_error *error) {
    struct wp_buf partial = {0};
    wp_buf_printf(&partial, "%s.partial", path);
    wp_buf_add(&partial, "", 1);
    FILE *file = fopen(partial.data, "w");
    bool written = file && fprintf(file, "%s\n", address) > 0;
    written = file && fclose(file) == 0 && written;
    written = written && rename(partial.data, path) == 0;
    wp_buf_done(&partial);
    if (written) return WP_OK;
    return wp_fail(error, WP_ERR_SYSTEM, "The address cannot be written to %s: %s", path, strerror(errno));
}

static enum wp_err serve(rd_kafka_mock_cluster_t *cluster, const struct wp_config *config,
                         const sigset_t *stops, struct wp_error *error) {
    enum wp_err err = make_topics(cluster, config, error);
    const char *address = rd_kafka_mock_cluster_bootstraps(cluster);
    if (!err && listen_file) err = write_address(listen_file, address, error);
    if (err) return err;
    printf("%s\n", address);
    (void)fflush(stdout);
    int signal_number;
    (void)sigwait(stops, &signal_number);
    return WP_OK;
}

static enum wp_err run(const struct wp_config *config, const sigset_t *stops, struct wp_error *error) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, log_line);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)); /* owns conf when it succeeds */
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return wp_fail(error, WP_ERR_KAFKA, "librdkafka does not start: %s", why);
    }
    enum wp_err err;
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    if (cluster) {
        err = serve(cluster, config, stops, error);
        rd_kafka_mock_cluster_destroy(cluster);
    } else {
        err = wp_fail(error, WP_ERR_KAFKA, "librdkafka's mock cluster does not start.");
    }
    rd_kafka_destroy(rk);
    return err;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    struct wp_error error;
    int code;
    if (!wp_options_parse(&wp_cli_broker, argc, argv, &config, &parsed, &code)) return code;
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stops, NULL); /* before any thread is made: they inherit it */
    enum wp_err err = run(&config, &stops, &error);
    wp_config_done(&config);
    return err ? wp_options_fail(&wp_cli_broker, WP_EXIT_FAILED, &error) : WP_EXIT_OK;
}
