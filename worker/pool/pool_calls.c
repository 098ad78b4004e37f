/* Packs pool events and settings for the {pool} functions. Pure. */
#include "pool/pool_calls.h"
#include "wire/avro.h"
#include "wire/text.h"
#include <stdlib.h>

/* Packs a claim as the JSON that the container gets; an empty string without a claim. */
static void pack_claim(struct wp_buf *out, struct wp_str claim) {
    struct wp_buf text = {0};
    struct avro_map map = {.in = avro_reader(claim)};
    struct wp_str key, value;
    if (claim.ptr) wp_buf_add_str(&text, "{");
    while (claim.ptr && avro_map_next(&map, &key, &value)) {
        if (text.len > 1) wp_buf_add_str(&text, ",");
        text_string(&text, key);
        wp_buf_add_str(&text, ":");
        text_string(&text, value);
    }
    if (claim.ptr) wp_buf_add_str(&text, "}");
    wp_pack_str(out, wp_buf_str(&text));
    wp_buf_done(&text);
}

/* Packs the record's key and trace header. A key that is the request's id, or too long, is packed as false:
 * the answer has the id as its key. */
static void pack_keys(struct wp_buf *out, const struct wp_meta *meta, struct wp_str request_id) {
    struct wp_str key = wp_meta_key(meta);
    if (wp_str_eq(key, request_id) || (key.len == 0 && meta->key.len > 0))
        wp_pack_bool(out, false);
    else
        wp_pack_str(out, key);
    wp_pack_str(out, meta->trace);
}

static struct wp_str tenant_of(const struct wp_acquire *e) {
    return e->tenant.len > 0 ? e->tenant : WP_STR("default");
}

void wp_pack_acquire(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                     const char *invalid) {
    const struct wp_acquire *e = &event->acquire;
    wp_pack_array(out, 14);
    wp_pack_int(out, meta->offset);
    wp_pack_int(out, meta->age_us);
    wp_pack_int(out, meta->record_age_ms);
    size_t keys = wp_pack_open(out);
    pack_keys(out, meta, e->request_id);
    wp_pack_close(out, keys);
    wp_pack_str(out, e->request_id);
    wp_pack_str(out, e->agent_id);
    wp_pack_str(out, e->philosophy);
    wp_pack_str(out, tenant_of(e));
    wp_pack_optional_int(out, e->timeout_ms);
    wp_pack_optional_int(out, e->lease_ms);
    wp_pack_optional_double(out, e->cpu_percent);
    wp_pack_optional_double(out, e->memory_mb);
    wp_pack_str(out, wp_str(invalid));
    pack_claim(out, e->claim);
}

enum acquire_column {
    A_OFFSETS,
    A_IDS,
    A_GROUPS,
    A_AGES,
    A_RECORD_AGES,
    A_AGENTS,
    A_RESTS,
    A_DICTIONARY,
    A_ROWS
};

/* Adds philosophy and tenant of a plain acquire to the dictionary; returns their number. */
static uint32_t add_whose(struct wp_columns *columns, const struct wp_acquire *e) {
    struct wp_buf *words = &columns->columns[A_DICTIONARY];
    size_t from = words->len;
    wp_pack_array(words, 2);
    wp_pack_str(words, e->philosophy);
    wp_pack_str(words, tenant_of(e));
    return wp_columns_word(columns, A_DICTIONARY, from);
}

static void add_length(struct wp_buf *out, size_t len) {
    const char bytes[] = {(char)(len >> 8), (char)len};
    wp_buf_add(out, bytes, 2);
}

/* Packs the rest of a plain acquire in the form of a lease's row (redis/rows.lua): the agent and the keys,
 * each behind its length in two bytes. */
static void pack_rest(struct wp_buf *out, const struct wp_meta *meta, const struct wp_acquire *e) {
    size_t rest = wp_pack_open(out);
    add_length(out, e->agent_id.len);
    wp_buf_add(out, e->agent_id.ptr, e->agent_id.len);
    size_t length = out->len;
    add_length(out, 0);
    pack_keys(out, meta, e->request_id);
    size_t len = out->len - length - 2;
    out->data[length] = (char)(len >> 8);
    out->data[length + 1] = (char)len;
    wp_pack_close(out, rest);
}

/* A plain acquire has none of the optional fields: it goes as columns, others as rows. */
static bool is_plain(const struct wp_acquire *e) {
    return e->timeout_ms == WP_ABSENT && e->lease_ms == WP_ABSENT && isnan(e->cpu_percent) &&
           isnan(e->memory_mb) && !e->claim.ptr;
}

void wp_add_acquire(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid) {
    const struct wp_acquire *e = &event->acquire;
    bool plain = !invalid && is_plain(e);
    wp_pack_int(wp_columns_value(columns, A_OFFSETS), meta->offset);
    wp_pack_str(wp_columns_value(columns, A_IDS), e->request_id);
    wp_pack_int(wp_columns_value(columns, A_GROUPS), plain ? add_whose(columns, e) : 0);
    wp_pack_int(wp_columns_value(columns, A_AGES), meta->age_us);
    wp_pack_int(wp_columns_value(columns, A_RECORD_AGES), meta->record_age_ms);
    wp_pack_str(wp_columns_value(columns, A_AGENTS), e->agent_id);
    if (plain) {
        pack_rest(wp_columns_value(columns, A_RESTS), meta, e);
    } else {
        wp_pack_bool(wp_columns_value(columns, A_RESTS), false);
        wp_pack_acquire(wp_columns_value(columns, A_ROWS), meta, event, invalid);
    }
}

enum release_column { R_OFFSETS, R_IDS, R_GROUPS, R_CONTAINERS, R_DICTIONARY, R_ROWS };

static uint32_t add_philosophy(struct wp_columns *columns, struct wp_str philosophy) {
    struct wp_buf *words = &columns->columns[R_DICTIONARY];
    size_t from = words->len;
    wp_pack_str(words, philosophy);
    return wp_columns_word(columns, R_DICTIONARY, from);
}

static void pack_release(struct wp_buf *out, const struct wp_meta *meta, const struct wp_release *e) {
    wp_pack_array(out, 5);
    wp_pack_int(out, meta->offset);
    wp_pack_str(out, e->request_id);
    wp_pack_str(out, e->philosophy);
    wp_pack_str(out, e->container_id);
    wp_pack_bool(out, e->reuse);
}

void wp_add_release(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid) {
    const struct wp_release *e = &event->release;
    (void)invalid;
    wp_pack_int(wp_columns_value(columns, R_OFFSETS), meta->offset);
    wp_pack_str(wp_columns_value(columns, R_IDS), e->request_id);
    wp_pack_int(wp_columns_value(columns, R_GROUPS), e->reuse ? add_philosophy(columns, e->philosophy) : 0);
    wp_pack_str(wp_columns_value(columns, R_CONTAINERS), e->container_id);
    if (!e->reuse) pack_release(wp_columns_value(columns, R_ROWS), meta, e);
}

void wp_add_control(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid) {
    const struct wp_control *e = &event->control;
    struct wp_buf *out = wp_columns_value(columns, 0);
    (void)invalid;
    wp_pack_array(out, 5);
    wp_pack_int(out, meta->offset);
    wp_pack_str(out, e->control_id);
    wp_pack_str(out, e->philosophy);
    wp_pack_str(out, e->op);
    wp_pack_optional_int(out, e->count);
}

void wp_add_container_event(struct wp_columns *columns, const struct wp_meta *meta,
                            const union wp_event *event, const char *invalid) {
    const struct wp_container_event *e = &event->container;
    struct wp_buf *out = wp_columns_value(columns, 0);
    (void)invalid;
    wp_pack_array(out, 12);
    wp_pack_int(out, meta->offset);
    wp_pack_str(out, e->container_id);
    wp_pack_str(out, e->philosophy);
    wp_pack_str(out, e->host);
    wp_pack_str(out, e->state);
    wp_pack_str(out, e->detail);
    wp_pack_str(out, e->address);
    wp_pack_str(out, e->image);
    wp_pack_optional_double(out, e->queue_ms);
    wp_pack_optional_double(out, e->create_ms);
    wp_pack_optional_double(out, e->start_ms);
    wp_pack_optional_double(out, e->ready_ms);
}

static void put_int(struct wp_buf *out, const char *key, int64_t value) {
    wp_pack_key(out, key);
    wp_pack_int(out, value);
}
static void put_double(struct wp_buf *out, const char *key, double value) {
    wp_pack_key(out, key);
    wp_pack_double(out, value);
}
static void put_bool(struct wp_buf *out, const char *key, bool value) {
    wp_pack_key(out, key);
    wp_pack_bool(out, value);
}

static void put_ints(struct wp_buf *out, const char *key, const struct wp_settings *of) {
    wp_pack_key(out, key);
    wp_pack_map(out, (uint32_t)of->count);
    for (size_t i = 0; i < of->count; i++)
        put_int(out, of->list[i].key, strtoll(of->list[i].value, NULL, 10));
}

static void put_texts(struct wp_buf *out, const char *key, const struct wp_settings *of) {
    wp_pack_key(out, key);
    wp_pack_map(out, (uint32_t)of->count);
    for (size_t i = 0; i < of->count; i++) {
        wp_pack_key(out, of->list[i].key);
        wp_pack_str(out, wp_str(of->list[i].value));
    }
}

/* A number, and those of single philosophies or tenants. */
static void put_int_and_own(struct wp_buf *out, const char *key, int64_t value, const char *own_key,
                            const struct wp_settings *own) {
    put_int(out, key, value);
    put_ints(out, own_key, own);
}

static void put_cleans(struct wp_buf *out, const struct wp_config *config) {
    const struct wp_settings *of = &config->pool.clean_of;
    put_bool(out, "clean", config->pool.clean);
    wp_pack_key(out, "cleans");
    wp_pack_map(out, (uint32_t)of->count);
    for (size_t i = 0; i < of->count; i++)
        put_bool(out, of->list[i].key, wp_config_cleans(config, of->list[i].key));
}

/* Only whether each pool has a reset command: the host knows the command itself. */
static void put_resets(struct wp_buf *out, const struct wp_config *config) {
    const struct wp_settings *of = &config->pool.reset_of;
    put_bool(out, "reset", *config->pool.reset);
    wp_pack_key(out, "resets");
    wp_pack_map(out, (uint32_t)of->count);
    for (size_t i = 0; i < of->count; i++) put_bool(out, of->list[i].key, *of->list[i].value);
}

/* The philosophies that some configuration key names: they never give way (redis/philosophies.lua). */
static void put_configured(struct wp_buf *out, const struct wp_config *config) {
    const struct wp_settings *const families[] = {
        &config->pool.prewarm,        &config->pool.min_idle_of,
        &config->pool.sizes,          &config->pool.max_containers_of,
        &config->pool.cpu_percent_of, &config->pool.memory_mb_of,
        &config->pool.reuse_of,       &config->pool.reset_of,
        &config->pool.max_uses_of,    &config->pool.clean_of,
        &config->pool.max_age_of,     &config->pool.idle_ttl_of,
        &config->pool.hot_of,         &config->docker.image_of,
        &config->docker.command_of,   &config->docker.environment_of,
        &config->docker.mounts_of,    &config->docker.network_of,
        &config->docker.user_of,      &config->docker.ready_of,
    };
    struct wp_settings names = {0};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        for (size_t k = 0; k < families[i]->count; k++) wp_settings_set(&names, families[i]->list[k].key, "");
    wp_pack_key(out, "configured");
    wp_pack_map(out, (uint32_t)names.count);
    for (size_t i = 0; i < names.count; i++) put_bool(out, names.list[i].key, true);
    wp_settings_done(&names);
}

/* By default what is pre-warmed is kept ready. */
static void put_min_idle(struct wp_buf *out, const struct wp_config *config) {
    static const struct wp_settings none;
    bool as_prewarmed = config->pool.min_idle < 0;
    put_int(out, "min_idle", as_prewarmed ? 0 : config->pool.min_idle);
    put_ints(out, "min_idle_of", &config->pool.min_idle_of);
    put_ints(out, "prewarms", as_prewarmed ? &config->pool.prewarm : &none);
}

static void put_tenants(struct wp_buf *out, const struct wp_config *config) {
    put_int_and_own(out, "tenant_max_leases", config->tenant.max_leases, "tenant_max_leases_of",
                    &config->tenant.leases_of);
    put_int_and_own(out, "tenant_max_waiting", config->tenant.max_waiting, "tenant_max_waiting_of",
                    &config->tenant.waiting_of);
    put_int_and_own(out, "tenant_max_creating", config->tenant.max_creating, "tenant_max_creating_of",
                    &config->tenant.creating_of);
    put_ints(out, "tenant_weights", &config->tenant.weight_of);
}

void wp_pack_pool_settings(struct wp_buf *out, const struct wp_config *config) {
    wp_pack_map(out, 62);
    put_configured(out, config);
    put_bool(out, "pool_enabled", config->pool.enabled);
    put_bool(out, "warm_start", config->pool.warm_start);
    put_min_idle(out, config);
    put_double(out, "refill_rate", config->pool.refill_rate);
    put_int_and_own(out, "size", config->pool.size, "sizes", &config->pool.sizes);
    wp_pack_key(out, "reuse");
    wp_pack_str(out, wp_str(config->pool.reuse));
    put_texts(out, "reuses", &config->pool.reuse_of);
    put_cleans(out, config);
    put_resets(out, config);
    put_int_and_own(out, "hot", config->pool.hot, "hots", &config->pool.hot_of);
    put_int_and_own(out, "idle_ttl", config->pool.idle_ttl, "idle_ttls", &config->pool.idle_ttl_of);
    put_int_and_own(out, "max_age", config->pool.max_age, "max_ages", &config->pool.max_age_of);
    put_int_and_own(out, "max_uses", config->pool.max_uses, "max_uses_of", &config->pool.max_uses_of);
    put_int_and_own(out, "max_containers", config->pool.max_containers, "max_containers_of",
                    &config->pool.max_containers_of);
    put_double(out, "cpu_limit", config->pool.cpu_percent);
    put_ints(out, "cpu_limits", &config->pool.cpu_percent_of);
    put_double(out, "memory_limit", config->pool.memory_mb);
    put_ints(out, "memory_limits", &config->pool.memory_mb_of);
    put_int(out, "max_failures", config->pool.max_failures);
    put_int(out, "max_philosophies", config->pool.max_philosophies);
    put_int(out, "timeout_ms", config->pool.timeout_ms);
    put_int(out, "lease_ms", config->pool.lease_ms);
    put_double(out, "min_cpu", config->pool.min_cpu_percent);
    put_double(out, "max_cpu", config->pool.max_cpu_percent);
    put_double(out, "min_memory", config->pool.min_memory_mb);
    put_double(out, "max_memory", config->pool.max_memory_mb);
    put_int(out, "request_ttl", config->pool.request_ttl);
    put_int(out, "max_requests", config->pool.max_requests);
    put_int(out, "history_size", config->predictor.history_size);
    put_double(out, "buffer", config->predictor.buffer);
    put_double(out, "cpu", config->predictor.cpu_percent);
    put_double(out, "memory", config->predictor.memory_mb);
    put_double(out, "time", config->predictor.execution_time_seconds);
    put_double(out, "low_confidence", config->predictor.low_confidence);
    put_double(out, "medium_confidence", config->predictor.medium_confidence);
    put_double(out, "low_cpu", config->predictor.low_cpu_percent);
    put_double(out, "low_memory", config->predictor.low_memory_mb);
    put_double(out, "low_time", config->predictor.low_execution_time_seconds);
    put_double(out, "medium_buffer", config->predictor.medium_buffer);
    put_double(out, "high_buffer", config->predictor.high_buffer);
    put_bool(out, "learn_oom", config->predictor.learn_oom);
    put_int(out, "predict_interval_ms", config->predictor.interval_ms);
    put_tenants(out, config);
    put_int(out, "agents_ttl", config->agents.ttl);
    put_int(out, "agents_max", config->agents.max);
}
