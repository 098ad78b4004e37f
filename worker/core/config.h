/* Configuration: one table (core/config_table.c) of parameters — name, type, default, limits, text — feeds
 * the INI file, the environment (WARMPOOL_SECTION_KEY), `-o section.key=value`, `--help` and
 * docs/configuration.md, the man page and completion. Later sources win: default, file, environment, -o.
 * Strings are owned by the config.
 */
#ifndef WP_CORE_CONFIG_H
#define WP_CORE_CONFIG_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "core/buf.h"
#include "core/err.h"
#include "core/settings.h"
#include "core/str.h"

enum wp_wire_format { WP_WIRE_AVRO, WP_WIRE_CONFLUENT, WP_WIRE_JSON };
enum wp_tuning { WP_TUNING_OFF, WP_TUNING_ADVISE, WP_TUNING_APPLY };
/* When a changed value applies to a worker that reads its configuration again (SIGHUP, `warmpool reload`). */
enum wp_applies {
    WP_APPLIES_AT_RESTART, /* the worker goes on with the old value */
    WP_APPLIES_AT_ONCE,
    WP_APPLIES_TO_NEW /* to containers that are made from then on */
};
enum wp_on_exit { WP_EXIT_AUTO, WP_EXIT_KEEP, WP_EXIT_DESTROY };

struct wp_config {
    struct wp_settings kafka; /* kafka.*: handed to librdkafka untouched; bootstrap.servers is always there */

    struct {
        char *url;       /* redis.url: redis://[user:password@]host[:port][/db], rediss://..., unix:///path,
                            redis-sentinel://[user:password@]host[:port],.../name[/db], rediss-sentinel://... */
        char *cache_url; /* redis.cache_url: another primary for the {cache} slot; empty = redis.url */
        char *prefix;    /* redis.prefix: wp */
        int64_t timeout_ms;      /* redis.timeout_ms: 5000, for a reply and for connecting */
        char *sentinel_user;     /* redis.sentinel.user: at the sentinels; empty = the default user */
        char *sentinel_password; /* redis.sentinel.password; empty = the sentinels want none */
        int64_t wait_replicas;   /* redis.wait_replicas: 0; WAIT for that many before anything is published */
        char *tls_ca;            /* redis.tls_ca: file of CA certificates; empty = the system's */
        char *tls_cert;          /* redis.tls_cert: file of the worker's own certificate; empty = none */
        char *tls_key;           /* redis.tls_key: file of its key */
    } redis;

    struct {
        char *prefix;        /* topics.prefix: empty */
        int64_t partitions;  /* topics.partitions: 6 */
        int64_t replication; /* topics.replication: 0 = the broker's default */
    } topics;

    struct {
        enum wp_wire_format write; /* wire.write: avro */
        unsigned accept;           /* wire.read: avro,confluent,json: bits 1 << enum wp_wire_format */
        char *schemas;             /* wire.schemas: folder of further writer schemas; empty = none */
        char *confluent_ids; /* wire.confluent_ids: "1=container-acquire,2=container-release": id of a schema
                                by topic, or "17=old/acquire-v0.avsc" for a file of wire.schemas */
        struct {
            char *url; /* wire.registry.url: of a schema registry, with commas; empty = none */
            char *user, *password, *token;     /* wire.registry.user, ...: empty = none */
            char *tls_ca, *tls_cert, *tls_key; /* files; an empty CA = the system's */
            int64_t timeout_ms;                /* wire.registry.timeout_ms: 5000, for one answer */
            bool add;                          /* wire.registry.register: false */
            char *subject;                     /* wire.registry.subject: topic, record, topic_record */
            int64_t max_tries;   /* wire.registry.max_tries: 10 useless answers about an id; 0 = any number */
            int64_t max_wait_ms; /* wire.registry.max_wait_ms: 0 = until the registry answers */
            int64_t max_schemas; /* wire.registry.max_schemas: 1000 kept */
        } registry;
    } wire;

    struct {
        char *id;             /* worker.id: empty = host name and process id; when set it is also Kafka's
                                 group.instance.id */
        int64_t batch;        /* worker.batch: 500 events in one call */
        int64_t window;       /* worker.window: 4096 events of a partition taken and not finished */
        int64_t window_bytes; /* worker.window_bytes: 64 MB of all partitions taken and not finished */
        int64_t calls;        /* worker.calls: 4 calls of a topic in flight */
        int64_t sweep_ms;     /* worker.sweep_interval_ms: 100 */
        int64_t stop_ms;      /* worker.stop_timeout_ms: 10000, to finish on SIGTERM */
    } worker;

    struct {
        bool enabled;             /* pool.enabled */
        bool warm_start;          /* pool.warm_start */
        int64_t size;             /* pool.size: 10 idle containers kept per philosophy */
        struct wp_settings sizes; /* pool.size.PHILOSOPHY */
        struct wp_settings
            prewarm;            /* pool.prewarm: react:5,chain_of_thought:5 — parsed into name and count */
        int64_t max_containers; /* pool.max_containers: 100 a philosophy, leased ones included */
        struct wp_settings max_containers_of; /* pool.max_containers.PHILOSOPHY */
        double cpu_percent, memory_mb; /* pool.cpu_percent, pool.memory_mb: 0 = the recommended limit */
        struct wp_settings cpu_percent_of,
            memory_mb_of;               /* pool.cpu_percent.PHILOSOPHY, pool.memory_mb.PHILOSOPHY */
        int64_t max_failures;           /* pool.max_failures: 5 in a row; 0 = no limit */
        int64_t max_philosophies;       /* pool.max_philosophies: 1000 */
        int64_t min_idle;               /* pool.min_idle: -1 = what pool.prewarm names */
        struct wp_settings min_idle_of; /* pool.min_idle.PHILOSOPHY */
        double refill_rate;             /* pool.refill_rate: 0 creates a second; 0 = as fast as hosts can */
        int64_t prewarm_interval;       /* pool.prewarm_interval: 60 s; 0 = off */
        double prewarm_below;           /* pool.prewarm_below_percent: 20 */
        int64_t prewarm_count;          /* pool.prewarm_count: 3 */
        int64_t timeout_ms;             /* pool.timeout_ms: 30000 */
        int64_t lease_ms;               /* pool.lease_ms: 3600000; 0 = until release or death */
        char *reuse;                    /* pool.reuse: same_tenant; whom a used container may serve */
        struct wp_settings reuse_of;    /* pool.reuse.PHILOSOPHY */
        bool clean;                     /* pool.clean: nothing of a use stays for the next one */
        struct wp_settings clean_of;    /* pool.clean.PHILOSOPHY */
        char *reset;                    /* pool.reset: run in a container before its next use; empty = none */
        struct wp_settings reset_of;    /* pool.reset.PHILOSOPHY */
        int64_t max_uses;               /* pool.max_uses: 0 = any number */
        struct wp_settings max_uses_of; /* pool.max_uses.PHILOSOPHY */
        int64_t max_age;                /* pool.max_age: 0 s = for ever */
        struct wp_settings max_age_of;  /* pool.max_age.PHILOSOPHY */
        int64_t idle_ttl;               /* pool.idle_ttl: 0 s = for ever */
        struct wp_settings idle_ttl_of; /* pool.idle_ttl.PHILOSOPHY */
        int64_t hot;                    /* pool.hot: -1 = all; idle ones beyond it are paused */
        struct wp_settings hot_of;      /* pool.hot.PHILOSOPHY */
        double min_cpu_percent, max_cpu_percent; /* 10, 400: bounds of a container's limits */
        double min_memory_mb, max_memory_mb;     /* 32, 16384 */
        int64_t request_ttl;  /* pool.request_ttl: 600 s that a finished request is remembered */
        int64_t max_requests; /* pool.max_requests: 1000000 finished requests remembered */
    } pool;

    struct { /* limits of each tenant over all philosophies; 0 = none */
        int64_t max_leases, max_waiting, max_creating;         /* tenant.max_leases, ...: 0 */
        struct wp_settings leases_of, waiting_of, creating_of; /* tenant.max_leases.TENANT, ... */
        struct wp_settings weight_of;                          /* tenant.weight.TENANT: 1 */
    } tenant;

    struct {
        bool enabled;        /* cache.enabled */
        int64_t max_entries; /* cache.max_entries: 1000 in total */
        int64_t max_bytes;   /* cache.max_bytes: 268435456 of keys and values */
        struct wp_settings max_entries_of,
            max_bytes_of;        /* cache.max_entries.NAMESPACE, cache.max_bytes.NAMESPACE */
        int64_t max_value_bytes; /* cache.max_value_bytes: 524288 */
        int64_t default_ttl;     /* cache.default_ttl: 300 s */
        struct wp_settings ttl;  /* cache.ttl.NAMESPACE: tool 600, pattern 300 */
    } cache;

    struct {
        int64_t history_size;                                  /* predictor.history_size: 100 */
        double buffer;                                         /* predictor.buffer: 1.2, of requirements */
        double cpu_percent, memory_mb, execution_time_seconds; /* predictor.default_*: 50, 256, 60 */
        double low_confidence, medium_confidence;              /* 0.3, 0.7 */
        double low_cpu_percent, low_memory_mb,
            low_execution_time_seconds; /* predictor.low_*: recommended below low_confidence: 50, 256, 60 */
        double medium_buffer, high_buffer; /* 1.5, 1.2 */
        int64_t interval_ms; /* predictor.interval_ms: 1000, between two records of a philosophy */
        bool learn_oom; /* predictor.learn_oom: false; true = a lease that ran out of memory is a sample */
    } predictor;

    struct {
        int64_t ttl; /* agents.ttl: 3600 s */
        int64_t max; /* agents.max: 100000 */
    } agents;

    struct {
        bool enabled;     /* memory.enabled */
        int64_t interval; /* memory.interval: 300 s */
    } memory;

    struct {
        int64_t interval; /* metrics.interval: 10 s */
    } metrics;

    struct {
        enum wp_tuning mode;       /* tuning.mode: advise */
        int64_t interval;          /* tuning.interval: 300 s */
        int64_t max_cache_entries; /* tuning.max_cache_entries: 100000 */
        int64_t max_pool_size;     /* tuning.max_pool_size: 100 */
        int64_t buffer; /* tuning.pool_buffer: 2 containers, the buffer of the documented formula */
    } tuning;

    struct {
        char *name;              /* host.name: empty = this worker drives no containers */
        char *runtime;           /* host.runtime: process */
        char *claims;            /* host.claims: folder of the containers' claims; empty = none are taken */
        int64_t capacity;        /* host.capacity: 200 containers */
        int64_t memory_mb;       /* host.memory_mb: 0 = no limit on the sum of the containers' limits */
        enum wp_on_exit on_exit; /* host.on_exit: auto = keep with docker, destroy with process */
        int64_t keep_ms;         /* host.keep_ms: 120000, replaces ttl_ms after a stop with `keep` */
        int64_t creates;         /* host.creates: 0 = the runtime's own number of creates at once */
        int64_t ttl_ms;          /* host.ttl_ms: 10000 without a heartbeat: the host counts as down */
        int64_t reconcile;       /* host.reconcile_interval: 30 s */
        char *replaces;          /* host.replaces: names with commas; empty = none */
    } host;

    struct {
        char *command; /* process.command: run by /bin/sh -c; default "exec sleep infinity" */
        char *ready;   /* process.ready: "running", or "notify": the child writes a line to the descriptor in
                          WARMPOOL_READY_FD */
        int64_t ready_after_ms;   /* process.ready_after_ms: 50 of running, with ready = running */
        int64_t ready_timeout_ms; /* process.ready_timeout_ms: 30000 */
    } process;

    struct {                 /* NAME_of: docker.NAME.PHILOSOPHY */
        char *url;           /* docker.url: unix:///var/run/docker.sock */
        char *claims_volume; /* docker.claims_volume: the volume mounted at host.claims; empty = none */
        char *tls_ca, *tls_cert, *tls_key; /* files; a CA means TLS */
        int64_t timeout_ms;                /* docker.timeout_ms: 60000, for one answer */
        char *image, *command, *environment, *mounts, *network, *user, *ready;
        struct wp_settings image_of, command_of, environment_of, mounts_of, network_of, user_of, ready_of;
        char *pull; /* docker.pull: never, missing, always */
        struct wp_settings pull_of;
        int64_t pull_interval;    /* docker.pull_interval: 0 s = at the start only */
        char *config;             /* docker.config: file of registries' credentials; empty = none */
        int64_t ready_timeout_ms; /* docker.ready_timeout_ms: 30000 */
        int64_t pids;             /* docker.pids: 128 */
        int64_t tmp_mb;           /* docker.tmp_mb: 64 */
        int64_t shm_mb;           /* docker.shm_mb: 16 */
        int64_t log_lines;        /* docker.log_lines: 0, of a container that ended by itself */
    } docker;

    struct {
        bool payload; /* deadletter.payload: false; true = keep the bytes of acquires, too */
    } deadletter;

    struct {
        char *listen; /* http.listen: 127.0.0.1:9464; empty = off; port 0 = any free one, which is logged */
    } http;

    struct {
        char *url;     /* trace.url: empty = no traces */
        double sample; /* trace.sample: 1, share of the requests without a context of their sender's */
        char *headers; /* trace.headers: name=value,name=value; secret */
        char *tls_ca, *tls_cert, *tls_key; /* files */
        int64_t timeout_ms;                /* trace.timeout_ms: 10000 */
        int64_t interval_ms;               /* trace.interval_ms: 1000 */
        int64_t batch;                     /* trace.batch: 512 spans */
        int64_t queue;                     /* trace.queue: 4096 spans */
    } trace;

    struct {
        char *level;  /* log.level: info */
        char *format; /* log.format: logfmt */
    } log;
};

/* Defaults in every field. */
void wp_config_init(struct wp_config *config);
void wp_config_done(struct wp_config *config);

/* One "section.key" = value. Unknown keys (with the nearest known one named), wrong types and values out of
 * range are WP_ERR_CONFIG. */
enum wp_err wp_config_set(struct wp_config *config, const char *key, const char *value,
                          struct wp_error *error) WP_MUST_CHECK;
/* INI: [section] key = value; `key` may itself contain dots ([kafka] bootstrap.servers = ...). Errors name
 * file and line. `include = FOLDER or FILE` before the first section: core/config_include.h; what is included
 * wins over the file. */
enum wp_err wp_config_load_file(struct wp_config *config, const char *path,
                                struct wp_error *error) WP_MUST_CHECK;
/* Reads WARMPOOL_* from environ: WARMPOOL_KAFKA_BOOTSTRAP_SERVERS is kafka.bootstrap.servers. Unknown names
 * are errors. */
enum wp_err wp_config_load_environment(struct wp_config *config, char **environment,
                                       struct wp_error *error) WP_MUST_CHECK;
/* Cross-field checks (prewarm <= size, floors <= ceilings, ...). Call once after all sources. */
enum wp_err wp_config_check(const struct wp_config *config, struct wp_error *error) WP_MUST_CHECK;

int64_t wp_config_max_containers(const struct wp_config *config, const char *philosophy);
bool wp_config_cleans(const struct wp_config *config, const char *philosophy); /* pool.clean */
bool wp_config_cleans_any(const struct wp_config *config);                     /* of some philosophy */

enum wp_applies
wp_config_applies(const char *key); /* of a full key; WP_APPLIES_AT_RESTART of an unknown one */
const char *wp_applies_word(enum wp_applies applies); /* "restart", "at once", "new containers" */

void wp_config_print_help(FILE *out);      /* every key with default and text, for --help */
void wp_config_print_reference(FILE *out); /* the same as a Markdown table, for docs/configuration.md */
/* Visits every key with its value in force, as it may be shown: without secrets. */
void wp_config_each(const struct wp_config *config,
                    void (*visit)(void *ctx, const char *key, const char *value), void *ctx);
void wp_config_print(const struct wp_config *config, FILE *out); /* the values in force, passwords masked */

#define WP_CONFIG_PAGE "warmpool.ini"
void wp_config_print_man(FILE *out); /* every key as the man page warmpool.ini(5) */

struct wp_config_key {
    struct wp_str name; /* "pool.size"; a family's ends with a dot: "pool.size." */
    bool family;        /* more has to follow: kafka.PROPERTY */
    const char *words;  /* the values that it takes, "avro,confluent,json"; NULL: others */
    const char *text;   /* one phrase; Markdown */
};
void wp_config_each_key(void (*visit)(void *ctx, const struct wp_config_key *key), void *ctx);

#endif
