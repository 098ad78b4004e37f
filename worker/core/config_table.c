/* The one table of parameters, and how a key is found in it. It feeds the INI file, the environment, -o,
 * --help and docs/configuration.md. Constant: any thread. */
#include "core/config_table.h"
#include <stddef.h>
#include <string.h>

#define AT(field) offsetof(struct wp_config, field)
#define TEXT(k, f, default_value, min, max, text)                                                            \
    { k, WP_PARAM_TEXT, AT(f), default_value, min, max, NULL, "", text }
#define NAME(k, f, default_value, min, text)                                                                 \
    { k, WP_PARAM_NAME, AT(f), default_value, min, 64, NULL, "", text }
#define WORD(k, f, default_value, words, text)                                                               \
    { k, WP_PARAM_WORD, AT(f), default_value, 0, 0, words, "", text }
#define CHOICE(k, f, default_value, words, text)                                                             \
    { k, WP_PARAM_CHOICE, AT(f), default_value, 0, 0, words, "", text }
#define SET(k, f, default_value, words, text)                                                                \
    { k, WP_PARAM_SET, AT(f), default_value, 0, 0, words, "", text }
#define INT(k, f, default_value, min, max, unit, text)                                                       \
    { k, WP_PARAM_INT, AT(f), default_value, min, max, NULL, unit, text }
#define NUMBER(k, f, default_value, min, max, unit, text)                                                    \
    { k, WP_PARAM_NUMBER, AT(f), default_value, min, max, NULL, unit, text }
#define FLAG(k, f, default_value, text)                                                                      \
    { k, WP_PARAM_FLAG, AT(f), default_value, 0, 0, NULL, "", text }
#define COUNTS(k, f, default_value, min, max, unit, text)                                                    \
    { k, WP_PARAM_COUNTS, AT(f), default_value, min, max, NULL, unit, text }
#define TEXTS(k, f, default_value, text)                                                                     \
    { k, WP_PARAM_TEXTS, AT(f), default_value, 0, 65536, NULL, "", text }
#define INTS(k, f, default_value, min, max, unit, text)                                                      \
    { k, WP_PARAM_INTS, AT(f), default_value, min, max, NULL, unit, text }

#define PATH 4096
#define DAY_MS 86400000.0
#define YEAR 31536000.0

/* clang-format off */
const struct wp_param wp_params[] = {
    TEXTS("kafka.PROPERTY", kafka, "bootstrap.servers=localhost:9092,group.id=warmpool",
        "any librdkafka property, handed on untouched: `kafka.bootstrap.servers`, `kafka.group.id`, `kafka.security.protocol`, ...; refused are other values than a worker needs of `enable.idempotence`, `enable.auto.commit`, `auto.offset.reset` and the like, and `group.instance.id`, which is `worker.id`"),

    TEXT("redis.url", redis.url, "redis://localhost:6379", 1, PATH,
        "where the shared state lives: `redis://[user:password@]host[:port][/db]`, `rediss://...` (TLS), `unix:///path`, or `redis-sentinel://[user:password@]host[:port][,host[:port]...]/name[/db]` (`rediss-sentinel://...`: TLS), which names sentinels and the primary that they watch"),
    TEXT("redis.cache_url", redis.cache_url, "", 0, PATH,
        "another Redis primary for the cache; empty = the one of `redis.url`"),
    TEXT("redis.sentinel.user", redis.sentinel_user, "", 0, 256, "user at the sentinels of `redis-sentinel://`; empty = their default user"),
    TEXT("redis.sentinel.password", redis.sentinel_password, "", 0, 256,
        "password at the sentinels; the one in the URL is for Redis itself; empty = they want none"),
    NAME("redis.prefix", redis.prefix, "wp", 1, "first part of every key"),
    INT("redis.timeout_ms", redis.timeout_ms, "5000", 10, 600000, "ms", "to connect, and for a reply"),
    INT("redis.wait_replicas", redis.wait_replicas, "0", 0, 100, "replicas",
        "replicas that must have a change before anything is published because of it"),
    TEXT("redis.tls_ca", redis.tls_ca, "", 0, PATH, "file of CA certificates for `rediss://`; empty = the system's"),
    TEXT("redis.tls_cert", redis.tls_cert, "", 0, PATH, "file of the worker's own certificate for `rediss://`, for a Redis with `tls-auth-clients`"),
    TEXT("redis.tls_key", redis.tls_key, "", 0, PATH, "file of its key"),

    NAME("topics.prefix", topics.prefix, "", 0, "put before every topic's name, for several deployments on one Kafka"),
    INT("topics.partitions", topics.partitions, "6", 1, 10000, "partitions", "of a topic that a worker has to make"),
    INT("topics.replication", topics.replication, "0", 0, 100, "replicas",
        "of a topic that a worker has to make; 0 = the broker's default"),

    CHOICE("wire.write", wire.write, "avro", "avro,confluent,json", "format of what a worker publishes"),
    SET("wire.read", wire.accept, "avro,confluent,json", "avro,confluent,json",
        "formats that are accepted; a message in another goes to `dead-letter`"),
    TEXT("wire.schemas", wire.schemas, "", 0, PATH, "folder of further writer schemas (`*.avsc`) to read evolved messages; empty = none"),
    TEXT("wire.confluent_ids", wire.confluent_ids, "", 0, 65536,
        "schema ids of the Confluent format, `1=container-acquire,17=old/acquire-v0.avsc`: a topic, or a file of `wire.schemas`; these are not asked for at `wire.registry.url`"),
    TEXT("wire.registry.url", wire.registry.url, "", 0, PATH,
        "schema registry with Confluent's API, `http://registry:8081`, where the other ids of the Confluent format are looked up; several, separated by commas, are tried in turn; empty = none"),
    TEXT("wire.registry.user", wire.registry.user, "", 0, 1024, "name for it; empty = none"),
    TEXT("wire.registry.password", wire.registry.password, "", 0, 4096, "that user's password"),
    TEXT("wire.registry.token", wire.registry.token, "", 0, 16384, "bearer token for it, instead of a user; empty = none"),
    TEXT("wire.registry.tls_ca", wire.registry.tls_ca, "", 0, PATH, "file of CA certificates for `https://`; empty = the system's"),
    TEXT("wire.registry.tls_cert", wire.registry.tls_cert, "", 0, PATH, "file of the worker's own certificate for it; empty = none"),
    TEXT("wire.registry.tls_key", wire.registry.tls_key, "", 0, PATH, "file of its key"),
    INT("wire.registry.timeout_ms", wire.registry.timeout_ms, "5000", 10, 600000, "ms", "for one answer of it"),
    FLAG("wire.registry.register", wire.registry.add, "false",
        "with `wire.write = confluent`: register the schemas that are written when a worker starts; false = they must be there"),
    WORD("wire.registry.subject", wire.registry.subject, "topic", "topic,record,topic_record",
        "names of their subjects: `TOPIC-value`, the record's full name, or `TOPIC-RECORD`"),
    INT("wire.registry.max_tries", wire.registry.max_tries, "10", 0, 1000000, "tries",
        "that are answered, but not with a schema, and messages with that id go to `dead-letter`; their partitions wait until then; 0 = they wait on"),
    INT("wire.registry.max_wait_ms", wire.registry.max_wait_ms, "0", 0, DAY_MS, "ms",
        "that messages wait for a schema while the registry is away or lets this worker not in, and they go to `dead-letter`; 0 = they wait until it answers"),
    INT("wire.registry.max_schemas", wire.registry.max_schemas, "1000", 16, 1000000, "schemas",
        "of it kept at once; one that was not used for half an hour gives way, and messages with another one beyond that go to `dead-letter`"),

    NAME("worker.id", worker.id, "", 0,
        "name of this worker, also Kafka's `group.instance.id`; a worker whose name another live one has waits for it; empty = host name and process id, without static membership"),
    INT("worker.batch", worker.batch, "500", 1, 5000, "events", "handed to Redis in one call, of all partitions of a topic together"),
    INT("worker.window", worker.window, "4096", 1, 1000000, "events", "of a partition taken and not yet finished; then it is paused"),
    INT("worker.window_bytes", worker.window_bytes, "67108864", 1048576, 17179869184, "bytes", "of all partitions together taken and not yet finished; then those that hold most are paused"),
    INT("worker.calls", worker.calls, "4", 1, 64, "calls", "of a topic in flight to Redis, each with batches of several partitions"),
    INT("worker.sweep_interval_ms", worker.sweep_ms, "100", 10, 60000, "ms", "between two looks for what is due: timeouts, leases, hosts; five times as long while nothing is due soon"),
    INT("worker.stop_timeout_ms", worker.stop_ms, "10000", 0, 600000, "ms",
        "to finish what is under way after SIGTERM; with `host.on_exit = destroy` and the `docker` runtime also to remove the containers, of which an engine removes some ten a second: what is left then stays until the next worker with this `host.name`"),

    FLAG("pool.enabled", pool.enabled, "true", "keep containers warm; false = every acquire is a cold start"),
    FLAG("pool.warm_start", pool.warm_start, "true", "hand out containers that were ready before; false = always a fresh one"),
    INT("pool.size", pool.size, "10", 0, 100000, "containers",
        "idle ones that a philosophy may have: one given back beyond it is destroyed; `pool.min_idle` are kept ready"),
    INTS("pool.size.PHILOSOPHY", pool.sizes, "", 0, 100000, "containers", "`pool.size` of one philosophy"),
    COUNTS("pool.prewarm", pool.prewarm, "react:5,chain_of_thought:5", 0, 100000, "containers",
        "made ready when workers start, and when a reload names more, `philosophy:count` each; never past the pool's size"),
    INT("pool.max_containers", pool.max_containers, "100", 1, 100000, "containers", "of a philosophy in all, leased ones included"),
    INTS("pool.max_containers.PHILOSOPHY", pool.max_containers_of, "", 1, 100000, "containers", "`pool.max_containers` of one philosophy"),
    INT("pool.max_failures", pool.max_failures, "5", 0, 1000000, "creates",
        "that fail in a row, and a philosophy that has no container is unavailable: acquires are rejected until the next try; 0 = they wait"),
    INT("pool.max_philosophies", pool.max_philosophies, "1000", 1, 100000, "philosophies", "known at once; one that is empty, not configured and unused for a week gives way to a new one, else the new one is rejected"),
    INT("pool.min_idle", pool.min_idle, "-1", -1, 100000, "containers",
        "of a philosophy kept idle at all times for whoever comes: never used ones, and used ones where `pool.reuse` lets everybody have them or one tenant alone uses the pool; at most its `pool.size`; -1 = what `pool.prewarm` names, which leaves used ones half of `pool.size` where several tenants use the pool"),
    INTS("pool.min_idle.PHILOSOPHY", pool.min_idle_of, "", 0, 100000, "containers", "`pool.min_idle` of one philosophy"),
    NUMBER("pool.refill_rate", pool.refill_rate, "0", 0, 100000, "creates a second",
        "of a philosophy for `pool.min_idle`, at most; requests that wait are not bounded by it; it spares others only where it is well below what an engine makes a second (`docs/performance.md`: `refill`); 0 = as many as the hosts can"),
    INT("pool.prewarm_interval", pool.prewarm_interval, "60", 0, YEAR, "s", "between two rounds of dynamic pre-warming; 0 = off"),
    NUMBER("pool.prewarm_below_percent", pool.prewarm_below, "20", 0, 100, "%", "utilization below which a round adds containers"),
    INT("pool.prewarm_count", pool.prewarm_count, "3", 0, 100000, "containers", "that a round adds to such a pool"),
    INT("pool.timeout_ms", pool.timeout_ms, "30000", 1, DAY_MS, "ms", "that an acquire waits when it does not say, from its record's timestamp"),
    INT("pool.lease_ms", pool.lease_ms, "3600000", 0, YEAR * 1000, "ms", "a lease lasts when the acquire does not say; 0 = until release or death"),
    NUMBER("pool.cpu_percent", pool.cpu_percent, "0", 0, 100000, "% of a core",
        "a container's CPU limit, whatever floor and ceiling say; 0 = what is recommended, within them. An acquire that asks for more gets more"),
    INTS("pool.cpu_percent.PHILOSOPHY", pool.cpu_percent_of, "", 0, 100000, "% of a core", "`pool.cpu_percent` of one philosophy"),
    NUMBER("pool.memory_mb", pool.memory_mb, "0", 0, 16777216, "MB", "the same for its memory limit"),
    INTS("pool.memory_mb.PHILOSOPHY", pool.memory_mb_of, "", 0, 16777216, "MB", "`pool.memory_mb` of one philosophy"),
    NUMBER("pool.min_cpu_percent", pool.min_cpu_percent, "10", 1, 100000, "% of a core", "floor of a container's CPU limit"),
    NUMBER("pool.max_cpu_percent", pool.max_cpu_percent, "400", 1, 100000, "% of a core", "ceiling of a container's CPU limit"),
    NUMBER("pool.min_memory_mb", pool.min_memory_mb, "32", 1, 16777216, "MB", "floor of a container's memory limit"),
    NUMBER("pool.max_memory_mb", pool.max_memory_mb, "16384", 1, 16777216, "MB", "ceiling of a container's memory limit"),
    WORD("pool.reuse", pool.reuse, "same_tenant", "never,same_agent,same_tenant,always", "whom a container may serve after its first use"),
    TEXTS("pool.reuse.PHILOSOPHY", pool.reuse_of, "", "`pool.reuse` of one philosophy"),
    FLAG("pool.clean", pool.clean, "true",
        "after each use the processes that were not there when the container became ready are ended, and `/tmp`, `/dev/shm` and what else can be written to, but for `docker.mounts`, are emptied of what came since, before `pool.reset`; a container where that fails is destroyed; false = what a user leaves stays for the next"),
    TEXTS("pool.clean.PHILOSOPHY", pool.clean_of, "", "`pool.clean` of one philosophy, `true` or `false`"),
    TEXT("pool.reset", pool.reset, "", 0, 65536,
        "run in a container by `/bin/sh -c` after each use and before the next; when it fails the container is destroyed; empty = nothing (`docker` runtime)"),
    TEXTS("pool.reset.PHILOSOPHY", pool.reset_of, "", "`pool.reset` of one philosophy"),
    INT("pool.max_uses", pool.max_uses, "0", 0, 1000000000, "uses", "of a container, then it is destroyed; 0 = any number"),
    INTS("pool.max_uses.PHILOSOPHY", pool.max_uses_of, "", 0, 1000000000, "uses", "`pool.max_uses` of one philosophy"),
    INT("pool.max_age", pool.max_age, "0", 0, YEAR, "s", "of a container, then it is destroyed when it is not leased; 0 = any"),
    INTS("pool.max_age.PHILOSOPHY", pool.max_age_of, "", 0, YEAR, "s", "`pool.max_age` of one philosophy"),
    INT("pool.idle_ttl", pool.idle_ttl, "0", 0, YEAR, "s", "that a container may be idle, then it is destroyed; 0 = for ever"),
    INTS("pool.idle_ttl.PHILOSOPHY", pool.idle_ttl_of, "", 0, YEAR, "s", "`pool.idle_ttl` of one philosophy"),
    INT("pool.hot", pool.hot, "-1", -1, 100000, "containers",
        "idle ones of a philosophy that run; those beyond are paused until they are assigned; -1 = all run (`docker` runtime)"),
    INTS("pool.hot.PHILOSOPHY", pool.hot_of, "", -1, 100000, "containers", "`pool.hot` of one philosophy"),
    INT("pool.request_ttl", pool.request_ttl, "600", 1, YEAR, "s", "that a finished request is remembered, so that a repeated one is known"),
    INT("pool.max_requests", pool.max_requests, "1000000", 1, 100000000, "requests", "finished ones remembered at most"),

    INT("tenant.max_leases", tenant.max_leases, "0", 0, 100000000, "leases",
        "that a tenant may have at once, in all philosophies together; requests of it that wait count; an acquire beyond it is rejected with the reason `limit`; acquires without a tenant are of the tenant `default`; 0 = no limit"),
    INTS("tenant.max_leases.TENANT", tenant.leases_of, "", 0, 100000000, "leases", "`tenant.max_leases` of one tenant"),
    INT("tenant.max_waiting", tenant.max_waiting, "0", 0, 100000000, "requests",
        "of a tenant that may wait at once, in all philosophies together; an acquire that would have to wait beyond it is rejected with the reason `limit`; 0 = no limit"),
    INTS("tenant.max_waiting.TENANT", tenant.waiting_of, "", 0, 100000000, "requests", "`tenant.max_waiting` of one tenant"),
    INT("tenant.max_creating", tenant.max_creating, "0", 0, 100000000, "containers",
        "that are being made at once because requests of a tenant wait for them, in all philosophies together; further requests of it wait, and those of other tenants go on; 0 = no limit"),
    INTS("tenant.max_creating.TENANT", tenant.creating_of, "", 0, 100000000, "containers", "`tenant.max_creating` of one tenant"),
    INTS("tenant.weight.TENANT", tenant.weight_of, "", 1, 1000, "turns",
        "that a tenant's waiting requests have for one turn of a tenant that is not named here"),

    FLAG("cache.enabled", cache.enabled, "true", "keep entries; false = every get is a miss, and answered"),
    INT("cache.max_entries", cache.max_entries, "1000", 1, 100000000, "entries", "in total, over all namespaces"),
    INTS("cache.max_entries.NAMESPACE", cache.max_entries_of, "", 0, 100000000, "entries",
        "of one namespace; beyond it entries of that namespace go, in the order of `cache.max_entries`; 0 = only the limit in total"),
    INT("cache.max_bytes", cache.max_bytes, "268435456", 1, 1e15, "bytes", "of keys and values in total; keep it well below Redis' `maxmemory`"),
    INTS("cache.max_bytes.NAMESPACE", cache.max_bytes_of, "", 0, 1e15, "bytes", "the same for keys and values of one namespace"),
    INT("cache.max_value_bytes", cache.max_value_bytes, "524288", 1, 536870912, "bytes", "of one value; the answer to a larger one is `too_large`, as it is to one that `kafka.message.max.bytes` leaves no room for"),
    INT("cache.default_ttl", cache.default_ttl, "300", 0, YEAR, "s", "an entry lives when neither it nor its namespace says"),
    INTS("cache.ttl.NAMESPACE", cache.ttl, "tool=600,pattern=300", 0, YEAR, "s", "an entry of that namespace lives when it does not say"),

    INT("predictor.history_size", predictor.history_size, "100", 1, 10000, "samples", "kept of a philosophy; this many give a confidence of 1"),
    NUMBER("predictor.buffer", predictor.buffer, "1.2", 1, 100, "x mean", "requirements"),
    NUMBER("predictor.default_cpu_percent", predictor.cpu_percent, "50", 0.01, 100000, "% of a core", "required when no sample has the figure"),
    NUMBER("predictor.default_memory_mb", predictor.memory_mb, "256", 0.01, 16777216, "MB", "required when no sample has the figure"),
    NUMBER("predictor.default_execution_time_seconds", predictor.execution_time_seconds, "60", 0.01, YEAR, "s",
        "required when no sample has the figure"),
    NUMBER("predictor.low_confidence", predictor.low_confidence, "0.3", 0, 1, "", "below it `predictor.low_*` is recommended"),
    NUMBER("predictor.medium_confidence", predictor.medium_confidence, "0.7", 0, 1, "",
        "below it mean x `predictor.medium_buffer` is recommended, from it on mean x `predictor.high_buffer`"),
    NUMBER("predictor.low_cpu_percent", predictor.low_cpu_percent, "50", 0.01, 100000, "% of a core", "recommended at low confidence"),
    NUMBER("predictor.low_memory_mb", predictor.low_memory_mb, "256", 0.01, 16777216, "MB", "recommended at low confidence"),
    NUMBER("predictor.low_execution_time_seconds", predictor.low_execution_time_seconds, "60", 0.01, YEAR, "s", "recommended at low confidence"),
    NUMBER("predictor.medium_buffer", predictor.medium_buffer, "1.5", 1, 100, "x mean", "recommended at medium confidence"),
    NUMBER("predictor.high_buffer", predictor.high_buffer, "1.2", 1, 100, "x mean", "recommended at high confidence"),
    INT("predictor.interval_ms", predictor.interval_ms, "1000", 0, DAY_MS, "ms", "at least, between two `prediction` records of a philosophy"),
    FLAG("predictor.learn_oom", predictor.learn_oom, "false",
        "a lease that ends because its container ran out of memory counts as a sample of its memory limit; false = usage records alone count"),

    INT("agents.ttl", agents.ttl, "3600", 1, YEAR, "s", "after which an agent that was not seen is forgotten"),
    INT("agents.max", agents.max, "100000", 1, 100000000, "agents", "tracked at most"),

    FLAG("memory.enabled", memory.enabled, "true", "sweep what has expired and give memory back, every `memory.interval`"),
    INT("memory.interval", memory.interval, "300", 1, YEAR, "s", "between two rounds of the memory optimizer"),

    INT("metrics.interval", metrics.interval, "10", 1, 86400, "s", "between two `metrics` records of a worker"),

    CHOICE("tuning.mode", tuning.mode, "advise", "off,advise,apply", "what is done about a badly sized pool or cache: nothing, a warning, or a larger size"),
    INT("tuning.interval", tuning.interval, "300", 1, YEAR, "s", "between two changes that `apply` makes, whatever the number of workers"),
    INT("tuning.max_cache_entries", tuning.max_cache_entries, "100000", 1, 100000000, "entries", "ceiling of what `apply` makes of the cache"),
    INT("tuning.max_pool_size", tuning.max_pool_size, "100", 0, 100000, "containers", "ceiling of what `apply` makes of a pool"),
    INT("tuning.pool_buffer", tuning.buffer, "2", 0, 100000, "containers", "added to the peak of leases when a pool size is advised"),

    NAME("host.name", host.name, "", 0, "name under which this worker drives containers; a worker whose name another live one has waits for it; empty = it drives none"),
    WORD("host.runtime", host.runtime, "process", "process,docker", "what makes the containers"),
    INT("host.capacity", host.capacity, "200", 1, 100000, "containers", "on this host at most"),
    INT("host.memory_mb", host.memory_mb, "0", 0, 1e9, "MB", "that the limits of this host's containers may add up to; 0 = no limit"),
    TEXT("host.claims", host.claims, "", 0, PATH,
        "folder in which each container of this host has one of its own for the claims of acquires, best in memory (`/run/warmpool`); in a container it is `/run/warmpool`, in the `process` runtime what `WARMPOOL_CLAIMS` names; with `pool.clean` the `docker` runtime also has the containers' first process there; empty = acquires with a `claim` are rejected, and that process is in a folder below `$XDG_RUNTIME_DIR`, `/run` or `/tmp`, which the engine must see"),
    CHOICE("host.on_exit", host.on_exit, "auto", "auto,keep,destroy",
        "what becomes of the containers when the worker stops; `auto` = keep with the `docker` runtime, so that a worker can be replaced under load, destroy with `process`"),
    INT("host.keep_ms", host.keep_ms, "120000", 1000, DAY_MS, "ms", "after a stop with `keep` until the next worker with this `host.name` is there; later, and the containers count as dead"),
    INT("host.creates", host.creates, "0", 0, 1000, "creates", "at once; 0 = the runtime's own number"),
    INT("host.ttl_ms", host.ttl_ms, "10000", 1000, DAY_MS, "ms", "without a heartbeat, and the host counts as down"),
    INT("host.reconcile_interval", host.reconcile, "30", 1, 86400, "s", "between two comparisons of what should run with what runs"),
    TEXT("host.replaces", host.replaces, "", 0, 4096,
        "names of hosts that never return, separated by commas, whose containers are at the same engine: this host removes them once Redis has forgotten their host (`warmpool hosts`)"),

    TEXT("process.command", process.command, "exec sleep infinity", 1, 65536, "what a container of the `process` runtime runs, by `/bin/sh -c`"),
    WORD("process.ready", process.ready, "running", "running,notify",
        "when it is ready: once it has run for `process.ready_after_ms`, or when it has written a line to the descriptor that `WARMPOOL_READY_FD` names"),
    INT("process.ready_after_ms", process.ready_after_ms, "50", 0, DAY_MS, "ms", "that it must have run with `process.ready = running`; one that ends before has failed"),
    INT("process.ready_timeout_ms", process.ready_timeout_ms, "30000", 1, DAY_MS, "ms", "to become ready"),

    TEXT("docker.url", docker.url, "unix:///var/run/docker.sock", 1, PATH,
        "the Docker engine: `unix:///path`, or `tcp://host:port`, with TLS when `docker.tls_ca` is set"),
    TEXT("docker.tls_ca", docker.tls_ca, "", 0, PATH, "file of CA certificates for `tcp://`; empty = no TLS"),
    TEXT("docker.tls_cert", docker.tls_cert, "", 0, PATH, "file of the worker's own certificate for `tcp://`"),
    TEXT("docker.tls_key", docker.tls_key, "", 0, PATH, "file of its key"),
    TEXT("docker.claims_volume", docker.claims_volume, "", 0, 256,
        "name of the volume that is mounted at `host.claims`, when the worker itself runs in a container; empty = `host.claims` is a folder of the engine's machine"),
    INT("docker.timeout_ms", docker.timeout_ms, "60000", 100, DAY_MS, "ms", "for one answer of the engine; without a byte of it while an image is pulled"),
    TEXT("docker.image", docker.image, "debian:trixie-slim", 1, 512, "image of a container; see `docker.pull`"),
    TEXTS("docker.image.PHILOSOPHY", docker.image_of, "", "`docker.image` of one philosophy"),
    WORD("docker.pull", docker.pull, "never", "never,missing,always",
        "when the host has its engine pull an image: `missing` = when the engine has not got it, `always` = at the host's start in any case, because a tag may have moved"),
    TEXTS("docker.pull.PHILOSOPHY", docker.pull_of, "", "`docker.pull` of one philosophy; an image that several have is pulled as the one says that wants most"),
    INT("docker.pull_interval", docker.pull_interval, "0", 0, YEAR, "s", "between two pulls of an image that is there, with `docker.pull = always`; 0 = only at the host's start"),
    TEXT("docker.config", docker.config, "", 0, PATH,
        "file with the credentials of registries, in the format of Docker's own `config.json` (`auths`; no credential helpers); read at each pull; empty = none"),
    TEXT("docker.command", docker.command, "exec sleep infinity", 0, 65536, "what runs in it, by `/bin/sh -c`; empty = what the image says"),
    TEXTS("docker.command.PHILOSOPHY", docker.command_of, "", "`docker.command` of one philosophy"),
    TEXT("docker.environment", docker.environment, "", 0, 65536, "`NAME=value` each, separated by commas"),
    TEXTS("docker.environment.PHILOSOPHY", docker.environment_of, "", "`docker.environment` of one philosophy"),
    TEXT("docker.mounts", docker.mounts, "", 0, 65536, "`source:target[:ro]` each, separated by commas; a folder of the host, or a volume"),
    TEXTS("docker.mounts.PHILOSOPHY", docker.mounts_of, "", "`docker.mounts` of one philosophy"),
    TEXT("docker.network", docker.network, "none", 1, 256, "network of a container"),
    TEXTS("docker.network.PHILOSOPHY", docker.network_of, "", "`docker.network` of one philosophy"),
    TEXT("docker.user", docker.user, "65534:65534", 1, 256, "user and group that it runs as"),
    TEXTS("docker.user.PHILOSOPHY", docker.user_of, "", "`docker.user` of one philosophy"),
    TEXT("docker.ready", docker.ready, "running", 1, PATH,
        "when it is ready: `running`, `healthy` (by the image's HEALTHCHECK), once `file:/path` is there (the image needs `test`), once `tcp:PORT` is open, or once `http:PORT/path` is answered with 2xx or 3xx (both need a `docker.network` that the worker can reach)"),
    TEXTS("docker.ready.PHILOSOPHY", docker.ready_of, "", "`docker.ready` of one philosophy"),
    INT("docker.ready_timeout_ms", docker.ready_timeout_ms, "30000", 1, DAY_MS, "ms", "to become ready"),
    INT("docker.pids", docker.pids, "128", 1, 1000000, "processes", "and threads in one container"),
    INT("docker.tmp_mb", docker.tmp_mb, "64", 0, 1e6, "MB", "of `/tmp`, in memory; beside it `/dev/shm` and the image's volumes can be written to; 0 = none"),
    INT("docker.shm_mb", docker.shm_mb, "16", 1, 1e6, "MB", "of `/dev/shm`, in memory"),
    INT("docker.log_lines", docker.log_lines, "0", 0, 1000, "lines",
        "that a container wrote last are logged (`container_output`) when it ended by itself; lines from before its present claim and lines that quote a value of it, or a part of one, are left out; 0 = none"),

    FLAG("deadletter.payload", deadletter.payload, "false",
        "keep the bytes of acquires in `dead-letter`, with whatever claim they carry; false = such a record has headers only"),

    TEXT("http.listen", http.listen, "127.0.0.1:9464", 0, 256,
        "address of `/healthz`, `/readyz`, `/metrics` and, at `/`, the status page, and for programs of this machine of `/config` and `/reload`; port 0 = any free one, said in the log; empty = off"),

    TEXT("trace.url", trace.url, "", 0, PATH,
        "where traces of acquires go by OTLP/HTTP: `http://host:4318`, `https://...`; `/v1/traces` is added; empty = no traces"),
    NUMBER("trace.sample", trace.sample, "1", 0, 1, "share",
        "of the acquires that are traced; one whose record has a `traceparent` is traced if that says so, and not else"),
    TEXT("trace.headers", trace.headers, "", 0, 65536,
        "sent with each request, `name=value,name=value`, for a collector that wants a password; in a value `%2C` is a comma"),
    TEXT("trace.tls_ca", trace.tls_ca, "", 0, PATH, "file of CA certificates for `https://`; empty = the system's"),
    TEXT("trace.tls_cert", trace.tls_cert, "", 0, PATH, "file of the worker's own certificate for `https://`"),
    TEXT("trace.tls_key", trace.tls_key, "", 0, PATH, "file of its key"),
    INT("trace.timeout_ms", trace.timeout_ms, "10000", 10, 600000, "ms", "for the collector to take a batch"),
    INT("trace.interval_ms", trace.interval_ms, "1000", 10, 600000, "ms", "that a span waits at most for others to go with"),
    INT("trace.batch", trace.batch, "512", 1, 100000, "spans", "sent in one request"),
    INT("trace.queue", trace.queue, "4096", 1, 10000000, "spans", "kept while the collector is busy or away; more are dropped, and counted"),

    WORD("log.level", log.level, "info", "debug,info,warn,error", "least important lines that are logged"),
    WORD("log.format", log.format, "logfmt", "logfmt,json", "of a line: `level=info event=started pid=7`, or a JSON object with the same names; in systemd's journal each has its level, too (`journalctl -p warning`)"),
    {0},
};
/* clang-format on */

/* ---- finding a parameter ---- */

bool wp_param_is_family(const struct wp_param *param) {
    return param->type == WP_PARAM_TEXTS || param->type == WP_PARAM_INTS;
}

size_t wp_param_prefix(const struct wp_param *param) {
    return (size_t)(strrchr(param->key, '.') - param->key) + 1;
}

size_t wp_param_section(const struct wp_param *param) {
    return strcspn(param->key, ".");
}

bool wp_param_starts_section(const struct wp_param *param) {
    if (param == wp_params) return true;
    size_t length = wp_param_section(param);
    return length != wp_param_section(param - 1) || strncmp(param->key, param[-1].key, length) != 0;
}

const struct wp_param *wp_param_find(const char *key, const char **ret_member) {
    *ret_member = NULL;
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (!wp_param_is_family(param)) {
            if (strcmp(param->key, key) == 0) return param;
            continue;
        }
        size_t prefix = wp_param_prefix(param);
        if (strncmp(param->key, key, prefix) != 0 || !wp_str_is_name(wp_str(key + prefix))) continue;
        *ret_member = key + prefix;
        return param;
    }
    return NULL;
}

#define KEY_MAX 80

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, a row at a time. */
static size_t distance(const char *a, const char *b) {
    size_t row[KEY_MAX + 1];
    size_t length = strnlen(b, KEY_MAX);
    for (size_t j = 0; j <= length; j++) row[j] = j;
    for (size_t i = 0; a[i] && i < KEY_MAX; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t above = row[j + 1];
            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[length];
}

const struct wp_param *wp_param_nearest(const char *key) {
    const struct wp_param *nearest = wp_params;
    size_t least = KEY_MAX;
    for (const struct wp_param *param = wp_params; param->key; param++) {
        size_t found = distance(key, param->key);
        if (found >= least) continue;
        least = found;
        nearest = param;
    }
    return nearest;
}
