/* Checks that involve several fields; each error says how to mend it. Runs once, after all sources. */
#include <stdlib.h>
#include <string.h>
#include "core/config_table.h"

#define FAIL(...) wp_fail(error, WP_ERR_CONFIG, "configuration: " __VA_ARGS__)

static int64_t size_of(const struct wp_config *config, const char *philosophy) {
    return wp_settings_int(&config->pool.sizes, philosophy, config->pool.size);
}

/* The default of pool.prewarm may be above pool.size, which caps it; only a value that somebody wrote can be
 * a mistake. */
static bool is_default(const struct wp_config *config, const char *key) {
    const char *member;
    const struct wp_param *param = wp_param_find(key, &member);
    struct wp_buf value = {0};
    wp_param_format(config, param, &value);
    bool same = wp_str_is(wp_buf_str(&value), param->default_value);
    wp_buf_done(&value);
    return same;
}

static enum wp_err check_prewarm(const struct wp_config *config, struct wp_error *error) {
    if (is_default(config, "pool.prewarm")) return WP_OK;
    for (size_t i = 0; i < config->pool.prewarm.count; i++) {
        const struct wp_setting *wanted = &config->pool.prewarm.list[i];
        int64_t size = size_of(config, wanted->key);
        if (strtoll(wanted->value, NULL, 10) <= size) continue;
        return FAIL("pool.prewarm asks for %s containers of %s, but only %lld are kept idle; raise "
                    "pool.size.%s or lower it",
                    wanted->value, wanted->key, (long long)size, wanted->key);
    }
    return WP_OK;
}

static enum wp_err check_min_idle(const struct wp_config *config, struct wp_error *error) {
    if (config->pool.min_idle > config->pool.size)
        return FAIL(
            "pool.min_idle (%lld) is above pool.size (%lld), which is how many are kept idle; raise the "
            "latter or lower it",
            (long long)config->pool.min_idle, (long long)config->pool.size);
    for (size_t i = 0; i < config->pool.min_idle_of.count; i++) {
        const struct wp_setting *wanted = &config->pool.min_idle_of.list[i];
        int64_t size = size_of(config, wanted->key);
        if (strtoll(wanted->value, NULL, 10) > size)
            return FAIL("pool.min_idle.%s asks for %s containers, but only %lld are kept idle; raise "
                        "pool.size.%s or lower it",
                        wanted->key, wanted->value, (long long)size, wanted->key);
    }
    return WP_OK;
}

/* The engine and the containers' processes have other working folders than the worker. */
static enum wp_err check_claims(const struct wp_config *config, struct wp_error *error) {
    const char *folder = config->host.claims;
    if (!*folder || *folder == '/') return WP_OK;
    return FAIL("host.claims = %s: a folder with its whole path is wanted, such as /run/warmpool", folder);
}

static enum wp_err check_reuse(const struct wp_config *config, struct wp_error *error) {
    static const char *const policies[] = {"never", "same_agent", "same_tenant", "always"};
    for (size_t i = 0; i < config->pool.reuse_of.count; i++) {
        const struct wp_setting *own = &config->pool.reuse_of.list[i];
        bool known = false;
        for (size_t k = 0; k < sizeof policies / sizeof policies[0]; k++)
            known = known || strcmp(own->value, policies[k]) == 0;
        if (!known)
            return FAIL("pool.reuse.%s = %s: never, same_agent, same_tenant or always is wanted", own->key,
                        own->value);
    }
    return WP_OK;
}

static enum wp_err check_clean(const struct wp_config *config, struct wp_error *error) {
    for (size_t i = 0; i < config->pool.clean_of.count; i++) {
        const struct wp_setting *own = &config->pool.clean_of.list[i];
        bool cleans;
        if (!wp_param_parse_flag(own->value, &cleans))
            return FAIL("pool.clean.%s = %s: true or false is wanted", own->key, own->value);
    }
    return WP_OK;
}

static enum wp_err too_large(const char *size_key, int64_t size, const char *max_key, int64_t max,
                             struct wp_error *error) {
    if (size <= max) return WP_OK;
    return FAIL("%s (%lld) is above %s (%lld); raise the latter", size_key, (long long)size, max_key,
                (long long)max);
}

static enum wp_err check_size(const struct wp_config *config, const char *philosophy,
                              struct wp_error *error) {
    bool own_size = wp_settings_get(&config->pool.sizes, philosophy),
         own_max = wp_settings_get(&config->pool.max_containers_of, philosophy);
    char *size_key = wp_format("pool.size%s%s", own_size ? "." : "", own_size ? philosophy : ""),
         *max_key = wp_format("pool.max_containers%s%s", own_max ? "." : "", own_max ? philosophy : "");
    enum wp_err err = too_large(size_key, size_of(config, philosophy), max_key,
                                wp_config_max_containers(config, philosophy), error);
    free(size_key);
    free(max_key);
    return err;
}

static enum wp_err check_sizes(const struct wp_config *config, const struct wp_settings *of,
                               struct wp_error *error) {
    enum wp_err err = WP_OK;
    for (size_t i = 0; err == WP_OK && i < of->count; i++) err = check_size(config, of->list[i].key, error);
    return err;
}

static enum wp_err check_pool(const struct wp_config *config, struct wp_error *error) {
    enum wp_err err = check_size(config, "", error); /* of all philosophies without a value of their own */
    if (err == WP_OK) err = check_sizes(config, &config->pool.sizes, error);
    if (err == WP_OK) err = check_sizes(config, &config->pool.max_containers_of, error);
    if (err) return err;
    if (config->pool.min_cpu_percent > config->pool.max_cpu_percent) {
        return FAIL("pool.min_cpu_percent (%g) is above pool.max_cpu_percent (%g)",
                    config->pool.min_cpu_percent, config->pool.max_cpu_percent);
    }
    if (config->pool.min_memory_mb > config->pool.max_memory_mb) {
        return FAIL("pool.min_memory_mb (%g) is above pool.max_memory_mb (%g)", config->pool.min_memory_mb,
                    config->pool.max_memory_mb);
    }
    err = check_reuse(config, error);
    if (err == WP_OK) err = check_clean(config, error);
    if (err == WP_OK) err = check_min_idle(config, error);
    return err ? err : check_prewarm(config, error);
}

/* Never quotes the URLs: they may hold a password. */
static enum wp_err check_registry(const struct wp_config *config, struct wp_error *error) {
    const char *url = config->wire.registry.url;
    if (*url == '\0') return WP_OK;
    while (*url) {
        url += strspn(url, ", ");
        size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
        size_t length = strcspn(url, ", ");
        if (*url && (scheme == 0 || length <= scheme || memchr(url, '?', length)))
            return FAIL("wire.registry.url: http://host:port or https://host:port is wanted, several "
                        "separated by commas");
        url += length;
    }
    if (config->wire.registry.user[0] && config->wire.registry.token[0])
        return FAIL(
            "wire.registry.user and wire.registry.token are both set; the registry takes one of them");
    if (config->wire.registry.password[0] && !config->wire.registry.user[0])
        return FAIL("wire.registry.password is set without wire.registry.user; set that too");
    if (!config->wire.registry.tls_cert[0] != !config->wire.registry.tls_key[0])
        return FAIL("wire.registry.tls_cert and wire.registry.tls_key belong together; set both");
    return WP_OK;
}

/* Workers read what workers write: sweepers and hosts publish container-event records. */
static enum wp_err check_wire(const struct wp_config *config, struct wp_error *error) {
    if (!(config->wire.accept & (1u << config->wire.write))) {
        return FAIL(
            "wire.read leaves out the format of wire.write, which workers themselves must read; add it");
    }
    if (config->wire.write == WP_WIRE_CONFLUENT && config->wire.confluent_ids[0] == '\0' &&
        config->wire.registry.url[0] == '\0') {
        return FAIL("wire.write = confluent needs the ids of the schemas; set wire.registry.url or "
                    "wire.confluent_ids");
    }
    return check_registry(config, error);
}

static enum wp_err check_rest(const struct wp_config *config, struct wp_error *error) {
    const char *brokers = wp_settings_get(&config->kafka, "bootstrap.servers");
    if (!brokers || brokers[0] == '\0') return FAIL("kafka.bootstrap.servers is empty; set it to host:port");
    const char *group = wp_settings_get(&config->kafka, "group.id");
    if (!group || group[0] == '\0')
        return FAIL("kafka.group.id is empty; give all workers of a deployment the same");
    if (config->worker.batch > config->worker.window) {
        return FAIL("worker.batch (%lld) is above worker.window (%lld); raise the latter",
                    (long long)config->worker.batch, (long long)config->worker.window);
    }
    if (config->cache.max_value_bytes > config->cache.max_bytes) {
        return FAIL("cache.max_value_bytes (%lld) is above cache.max_bytes (%lld)",
                    (long long)config->cache.max_value_bytes, (long long)config->cache.max_bytes);
    }
    if (config->predictor.low_confidence > config->predictor.medium_confidence) {
        return FAIL("predictor.low_confidence (%g) is above predictor.medium_confidence (%g)",
                    config->predictor.low_confidence, config->predictor.medium_confidence);
    }
    if (config->trace.batch > config->trace.queue) {
        return FAIL("trace.batch (%lld) is above trace.queue (%lld); raise the latter",
                    (long long)config->trace.batch, (long long)config->trace.queue);
    }
    return check_claims(config, error);
}

enum wp_err wp_config_check(const struct wp_config *config, struct wp_error *error) {
    enum wp_err err = check_wire(config, error);
    if (err == WP_OK) err = check_pool(config, error);
    if (err == WP_OK) err = check_rest(config, error);
    return err;
}
