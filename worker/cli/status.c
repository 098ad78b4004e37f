/* `warmpool status`: prints what the public read functions return about pools, hosts and cache. */
#include "cli/command.h"
#include "cli/options.h"
#include "store/sync_call.h"
#include "pool/pool_pages.h"
#include "wire/text.h"

#include <stdio.h>

static bool as_json;

static const struct wp_option options[] = {
    {"json", NULL, "the answers of wp_pool_stats and wp_cache_stats as one line of JSON", &as_json},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_status = {
    .name = "status",
    .summary = "print the state of pools, cache, hosts and leases",
    .arguments = "",
    .text = "Prints the shared state as Redis has it: pools, hosts, leases, cache.",
    .options = options,
    .examples = "warmpool status --json",
    .run = run_subcommand,
};

static long long whole(const json_t *object, const char *name) {
    return (long long)json_number_value(json_object_get(object, name));
}

static double figure(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

/* "1 lease", "2 leases" */
static void print_count(long long count, const char *what, const char *after) {
    printf("%lld %s%s%s", count, what, count == 1 ? "" : "s", after);
}

static void print_pool_row(const char *name, const json_t *pool) {
    printf("%-24s %9lld %6lld %7lld %7lld %9lld %8lld %8lld %6lld %12lld %12lld %7.1f\n", name,
           whole(pool, "available"), whole(pool, "ready"), whole(pool, "paused"), whole(pool, "leased"),
           whole(pool, "creating"), whole(pool, "waiting"), whole(pool, "outdated"), whole(pool, "pool_size"),
           whole(pool, "warm_starts"), whole(pool, "cold_starts"), figure(pool, "warm_start_rate_percent"));
}

static void print_pools(json_t *stats) {
    const char *name;
    json_t *pool;
    printf("%-24s %9s %6s %7s %7s %9s %8s %8s %6s %12s %12s %7s\n", "POOL", "AVAILABLE", "READY", "PAUSED",
           "LEASED", "CREATING", "WAITING", "OUTDATED", "SIZE", "WARM STARTS", "COLD STARTS", "WARM %");
    json_object_foreach(json_object_get(stats, "pools"), name, pool) print_pool_row(name, pool);
    print_pool_row("all", json_object_get(stats, "total"));
    const json_t *total = json_object_get(stats, "total");
    print_count(whole(total, "leased"), "lease", ", ");
    printf("%lld rejected, %lld lost, ", whole(total, "rejected"), whole(total, "lost"));
    print_count(whole(stats, "tracked_agents"), "agent", " tracked\n");
}

static void print_hosts(json_t *stats) {
    const char *name;
    json_t *host;
    json_t *hosts = json_object_get(stats, "hosts");
    if (json_object_size(hosts) == 0) {
        printf("\nno host: set host.name on a worker, or no container will ever be made\n");
        return;
    }
    printf("\n%-24s %-10s %6s %9s %11s %11s\n", "HOST", "STATE", "USED", "CAPACITY", "MEMORY MB", "USED MB");
    json_object_foreach(hosts, name, host)
        printf("%-24s %-10s %6lld %9lld %11lld %11lld\n", name,
               json_string_value(json_object_get(host, "state")), whole(host, "used"),
               whole(host, "capacity"), whole(host, "memory_mb"), whole(host, "memory_used_mb"));
}

static void print_of_limit(const json_t *tenant, const char *name, const char *limit) {
    char text[64];
    json_t *most = json_object_get(tenant, limit);
    if (most)
        snprintf(text, sizeof text, "%lld of %lld", whole(tenant, name), whole(tenant, limit));
    else
        snprintf(text, sizeof text, "%lld", whole(tenant, name));
    printf(" %20s", text);
}

/* Those that a limit names (tenant.max_leases.TENANT). */
static void print_tenants(json_t *stats) {
    const char *name;
    json_t *tenant, *tenants = json_object_get(stats, "tenants");
    if (json_object_size(tenants) == 0) return;
    printf("\n%-24s %20s %20s %20s\n", "TENANT", "LEASES", "WAITING", "CREATING");
    json_object_foreach(tenants, name, tenant) {
        printf("%-24s", name);
        print_of_limit(tenant, "leases", "max_leases");
        print_of_limit(tenant, "waiting", "max_waiting");
        print_of_limit(tenant, "creating", "max_creating");
        printf("\n");
    }
}

static void print_cache_row(const char *name, const json_t *cache) {
    printf("%-24s %9lld %12lld %12lld %7.1f\n", name, whole(cache, "size"), whole(cache, "hits"),
           whole(cache, "misses"), figure(cache, "hit_rate_percent"));
}

static void print_cache(json_t *stats) {
    const char *name;
    json_t *namespace;
    printf("\n%-24s %9s %12s %12s %7s\n", "CACHE", "ENTRIES", "HITS", "MISSES", "HIT %");
    json_object_foreach(json_object_get(stats, "namespaces"), name, namespace)
        print_cache_row(name, namespace);
    print_cache_row("all", stats);
    if (whole(stats, "max_size") == 0)
        printf("no worker has used the cache yet: its limits are not known\n");
    else
        printf("%lld of at most %lld entries, %lld of at most %lld bytes\n", whole(stats, "size"),
               whole(stats, "max_size"), whole(stats, "bytes"), whole(stats, "max_bytes"));
}

/* slot_stats: the answer of wp_pool_stats or wp_cache_stats. */
static void print_settings(const char *slot, const json_t *slot_stats) {
    const json_t *settings = json_object_get(slot_stats, "settings"),
                 *differ = json_object_get(settings, "differ");
    if (json_array_size(differ) == 0) return;
    printf("\nsettings of the %s: those of worker %s are in force; other ones have", slot,
           json_string_value(json_object_get(settings, "worker")));
    for (size_t i = 0; i < json_array_size(differ); i++)
        printf("%s %s", i > 0 ? "," : "", json_string_value(json_array_get(differ, i)));
    printf(" (give all workers the same configuration, and reload or restart those with an older one)\n");
}

/* Reads all pages of wp_pool_stats into *ret, which the caller owns. */
static enum wp_err read_pools(json_t **ret, redisContext *redis, const struct wp_config *config,
                              struct wp_error *error) {
    struct wp_str from = WP_STR("");
    json_t *page;
    do {
        enum wp_err err = wp_redis_read(&page, redis, config, WP_SLOT_POOL, "pool_stats", &from, 1, error);
        if (err) return err;
        wp_pool_pages_add(ret, page);
        from = wp_pool_pages_next(*ret);
    } while (from.len > 0);
    return WP_OK;
}

static enum wp_err read_slot(json_t **ret, const struct wp_config *config, enum wp_slot slot,
                             struct wp_error *error) {
    redisContext *redis;
    enum wp_err err = wp_redis_connect(&redis, config, slot, error);
    if (err) return err;
    err = slot == WP_SLOT_POOL ? read_pools(ret, redis, config, error)
                               : wp_redis_read(ret, redis, config, slot, "cache_stats", NULL, 0, error);
    redisFree(redis);
    return err;
}

static void print_json(json_t *pool, json_t *cache) {
    json_t *both = json_object();
    json_object_set(both, "pool", pool);
    json_object_set(both, "cache", cache);
    (void)text_json_line(both);
    json_decref(both);
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    struct wp_error error = {0};
    json_t *pool = NULL, *cache = NULL;
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_status, argc, argv, &config, &parsed, &code)) return code;
    if (read_slot(&pool, &config, WP_SLOT_POOL, &error) ||
        read_slot(&cache, &config, WP_SLOT_CACHE, &error)) {
        code = wp_options_fail(&wp_cli_status, WP_EXIT_FAILED, &error);
    } else if (as_json) {
        print_json(pool, cache);
    } else {
        print_pools(pool);
        print_hosts(pool);
        print_tenants(pool);
        print_cache(cache);
        print_settings("pools", pool);
        print_settings("cache", cache);
    }
    json_decref(pool);
    json_decref(cache);
    wp_config_done(&config);
    return code;
}
