/* Owns the host side: registration and heartbeats, its timers, the clean stop. Calls all other files of
 * host/. One thread: the loop's. */
#include "host/host.h"
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/pack.h"
#include "host/claims.h"
#include "host/commands.h"
#include "host/reconcile.h"
#include "host/replaced.h"
#include "store/event_args.h"

#define NOT_LISTED "its containers are not known yet: Redis and the runtime are asked for them"
#define TICK_MS 250 /* for records that could not be published, and new partitions of container-command */

struct wp_host {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed, as all of these */
    struct wp_stats *stats;
    struct wp_link *link;
    const struct wp_runtime_driver *driver;
    struct wp_runtime *runtime;
    char *root, *claims; /* owned: the folder of its containers' own folders, and its parent; empty without */
    struct held_table table;
    struct host_reconcile reconcile; /* no heartbeat before the runtime has listed its containers once */
    struct host_commands commands;
    struct host_replaced replaced;
    void (*forgotten)(void *ctx);
    void *forgotten_ctx;
    bool up_wanted;                                          /* publish host_up after the next reconcile */
    bool up_unpublished, away_unpublished, down_unpublished; /* records that could not be produced yet */
    bool away;       /* the runtime's engine is unreachable: no containers are made here */
    uint64_t images; /* the runtime's number of its images, as of the latest look */
    bool stopping, left, freed;
    char after[96]; /* during a stop: the container up to which Redis hands out none any more */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    uv_timer_t beat, interval, tick;
    struct host_pins pins;
};

static void on_unpinned(void *ctx) {
    struct wp_host *host = ctx;
    if (!host->freed) return;
    free(host->root);
    free(host->claims);
    free(host);
}

static void beat(struct wp_host *host);

/* ---- heartbeats ---- */

static void on_beat_answer(void *ctx, const redisReply *reply, const char *error) {
    struct wp_host *host = ctx;
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        if (!host->stopping)
            wp_log(WP_LOG_WARN, "heartbeat_failed", "host=%s reason=%s", host->config->host.name,
                   reply ? reply->str : error);
    } else if (!host->stopping && host->away && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
        host->away_unpublished = true; /* publish host_away again, now that Redis knows the host */
    } else if (!host->stopping && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
        wp_log(WP_LOG_INFO, "host_registered", "host=%s", host->config->host.name);
        host->up_wanted = true;
        wp_reconcile(&host->reconcile);
    } else if (!host->stopping && reply->type == REDIS_REPLY_INTEGER && reply->integer == 2) {
        if (host->forgotten) host->forgotten(host->forgotten_ctx);
    } else if (host->up_wanted && !host->reconcile.running) { /* the reconcile before host_up failed */
        wp_reconcile(&host->reconcile);
    }
    wp_host_unpin(&host->pins);
}

static void pack_text(struct wp_buf *out, const char *key, const char *value) {
    wp_pack_key(out, key);
    wp_pack_str(out, wp_str(value));
}
static void pack_number(struct wp_buf *out, const char *key, int64_t value) {
    wp_pack_key(out, key);
    wp_pack_int(out, value);
}

static bool can_make(const struct wp_host *host, const char *philosophy) {
    return !host->driver->can_make || host->driver->can_make(host->runtime, philosophy);
}

static void pack_lack(const struct wp_host *host, struct wp_buf *map, const char *philosophy) {
    char why[512];
    if (can_make(host, philosophy)) return;
    host->driver->lacks(host->runtime, philosophy, why, sizeof why);
    pack_text(map, philosophy, why);
}

/* Why it has not got the images that it has not got. */
static void pack_lacks(const struct wp_host *host, struct wp_buf *map) {
    const struct wp_settings *own = &host->config->docker.image_of;
    uint32_t count = !can_make(host, "");
    for (size_t i = 0; i < own->count; i++) count += !can_make(host, own->list[i].key);
    wp_pack_key(map, "lacks");
    wp_pack_map(map, count);
    pack_lack(host, map, "");
    for (size_t i = 0; i < own->count; i++) pack_lack(host, map, own->list[i].key);
}

static void pack_images(const struct wp_host *host, struct wp_buf *map) {
    const struct wp_settings *own = &host->config->docker.image_of;
    wp_pack_key(map, "image");
    wp_pack_bool(map, can_make(host, ""));
    wp_pack_key(map, "images");
    wp_pack_map(map, host->driver->can_make ? (uint32_t)own->count : 0);
    for (size_t i = 0; host->driver->can_make && i < own->count; i++) {
        wp_pack_key(map, own->list[i].key);
        wp_pack_bool(map, can_make(host, own->list[i].key));
    }
    pack_lacks(host, map);
}

/* When its oldest and newest containers were made, in us as their names end in it; 0: it has none. By these
 * Redis sees whether it has lost what it knew of them. A name without a number counts as older than all. */
static void pack_made(const struct wp_host *host, struct wp_buf *map) {
    int64_t oldest = 0, newest = 0;
    for (const struct held *held = host->table.list; held; held = held->hh.next) {
        const char *digits = strrchr(held->id, '-');
        int64_t made = digits ? strtoll(digits + 1, NULL, 10) : 0;
        if (made <= 0) made = 1;
        if (held->state == HELD_OVER) continue;
        if (oldest == 0 || made < oldest) oldest = made;
        if (made > newest) newest = made;
    }
    pack_number(map, "oldest", oldest);
    pack_number(map, "newest", newest);
}

static bool destroys_on_exit(const struct wp_host *host) {
    enum wp_on_exit wanted = host->config->host.on_exit;
    return wanted == WP_EXIT_AUTO ? !host->driver->outlives : wanted == WP_EXIT_DESTROY;
}

/* The last heartbeat of a host that keeps its containers lasts until its next worker has started. */
static int64_t ttl_ms(const struct wp_host *host) {
    int64_t ttl = host->config->host.ttl_ms, keep = host->config->host.keep_ms;
    return host->stopping && !destroys_on_exit(host) && keep > ttl ? keep : ttl;
}

static const char *state_of(const struct wp_host *host) {
    if (host->stopping) return destroys_on_exit(host) ? "stopping" : "draining";
    return host->away ? "away" : "up";
}

/* Sends a heartbeat. True: its answer will come to `answered`. */
static bool send_beat(struct wp_host *host, wp_link_reply answered) {
    if (!host->reconcile.listed) return false; /* a heartbeat says which containers the host has */
    struct wp_buf map = {0};
    wp_pack_map(&map, 12);
    pack_made(host, &map);
    pack_images(host, &map);
    wp_pack_key(&map, "claims");
    wp_pack_bool(&map, *host->config->host.claims != 0);
    pack_number(&map, "capacity", host->config->host.capacity);
    pack_number(&map, "memory_mb", host->config->host.memory_mb);
    pack_text(&map, "runtime", host->driver->name);
    pack_text(&map, "after", host->after);
    pack_text(&map, "state", state_of(host));
    pack_number(&map, "ttl_ms", ttl_ms(host));
    struct wp_str args[] = {wp_str(host->config->host.name), wp_buf_str(&map)};
    bool sent = wp_link_call(host->link, "beat", args, 2, answered, host) == WP_OK;
    if (sent) wp_host_pin(&host->pins);
    wp_buf_done(&map);
    return sent;
}

static void beat(struct wp_host *host) {
    (void)send_beat(host, on_beat_answer); /* when it is not sent wp_host_link_ready follows */
}

/* ---- timers ---- */

static void on_beat(uv_timer_t *timer) {
    beat(timer->data);
}

static void on_interval(uv_timer_t *timer) {
    struct host_reconcile *reconcile = &((struct wp_host *)timer->data)->reconcile;
    wp_reconcile(reconcile);
}

static void publish_up_or_down(struct wp_host *host) {
    char detail[64]; /* unique, so that no two host_up records are the same */
    snprintf(detail, sizeof detail, "up-%lld-%lld", (long long)wp_clock_wall_ms(), (long long)wp_clock_us());
    if (host->up_unpublished && !host->stopping)
        host->up_unpublished = !wp_held_publish_host(&host->table, "host_up", detail);
    if (host->away_unpublished)
        host->away_unpublished = !wp_held_publish_host(&host->table, "host_down", "away");
    if (host->down_unpublished)
        host->down_unpublished = !wp_held_publish_host(&host->table, "host_down", "stopping");
}

static void set_not_ready(struct wp_host *host, const char *why) {
    snprintf(host->stats->host_not_ready, sizeof host->stats->host_not_ready, "%s", why);
}

/* Reports a change of the engine, so that other hosts make containers while this one's engine is away. */
static void check_engine(struct wp_host *host) {
    const char *why = host->driver->away ? host->driver->away(host->runtime) : NULL;
    bool away = why != NULL;
    set_not_ready(host, why ? why : host->reconcile.listed ? "" : NOT_LISTED);
    if (away == host->away) return;
    host->away = away;
    if (away)
        wp_log(WP_LOG_WARN, "host_away", "host=%s reason=%s", host->config->host.name, why);
    else
        wp_log(WP_LOG_INFO, "host_back", "host=%s", host->config->host.name);
    beat(host);
}

/* Reports at once that an image has come or gone: requests may wait for it. */
static void check_images(struct wp_host *host) {
    if (!host->driver->report) return;
    uint64_t images = host->driver->report(host->runtime, host->stats);
    if (images == host->images) return;
    host->images = images;
    beat(host);
}

static void on_tick(uv_timer_t *timer) {
    struct wp_host *host = timer->data;
    if (!host->stopping) {
        wp_commands_tick(&host->commands);
        wp_held_publish_pending(&host->table);
        check_engine(host);
        check_images(host);
        wp_reconcile_tick(&host->reconcile);
    }
    publish_up_or_down(host);
}

static void init_timer(struct wp_host *host, uv_timer_t *timer) {
    uv_timer_init(host->loop, timer);
    timer->data = host;
    wp_host_pin(&host->pins);
}

/* Starts a timer, or starts it anew with another interval. */
static void start_timer(uv_timer_t *timer, uv_timer_cb then, uint64_t ms) {
    if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_repeat(timer) != ms)
        uv_timer_start(timer, then, ms, ms);
}

static void start_timers(struct wp_host *host) {
    start_timer(&host->beat, on_beat, (uint64_t)host->config->host.ttl_ms / 4);
    start_timer(&host->interval, on_interval, (uint64_t)host->config->host.reconcile * 1000);
    start_timer(&host->tick, on_tick, TICK_MS);
}

/* ---- life ---- */

static bool any_text(const char *default_value, const struct wp_settings *of) {
    bool any = *default_value;
    for (size_t i = 0; i < of->count; i++) any = any || *of->list[i].value;
    return any;
}

static bool any_hot(const struct wp_config *config) {
    bool any = config->pool.hot >= 0;
    for (size_t i = 0; i < config->pool.hot_of.count; i++)
        any = any || config->pool.hot_of.list[i].value[0] != '-';
    return any;
}

/* Fails when the configuration asks for a verb that the runtime does not have. */
static enum wp_err check_verbs(const struct wp_runtime_driver *driver, const struct wp_config *config,
                               struct wp_error *error) {
    if (!driver->run && any_text(config->pool.reset, &config->pool.reset_of))
        return wp_fail(
            error, WP_ERR_CONFIG,
            "pool.reset: host.runtime = %s runs no command in a container; docker does, or leave it empty",
            driver->name);
    if (!driver->clean && wp_config_cleans_any(config))
        return wp_fail(error, WP_ERR_CONFIG,
                       "pool.clean: host.runtime = %s cannot clean a container; set pool.clean = false",
                       driver->name);
    if (!driver->pause && any_hot(config))
        return wp_fail(error, WP_ERR_CONFIG,
                       "pool.hot: host.runtime = %s pauses no container; docker does, or leave it at -1",
                       driver->name);
    return WP_OK;
}

enum wp_err wp_host_check(const struct wp_config *config, struct wp_error *error) {
    const struct wp_runtime_driver *driver = wp_runtime_driver_find(config->host.runtime);
    if (!driver)
        return wp_fail(error, WP_ERR_CONFIG,
                       "host.runtime = %s: there is no such runtime; process and docker are",
                       config->host.runtime);
    enum wp_err err = check_verbs(driver, config, error);
    if (err == WP_OK) err = wp_replaced_check(config, driver, error);
    if (err == WP_OK && driver->check) err = driver->check(config, error);
    return err;
}

void wp_host_configure(struct wp_host *host) {
    if (host->stopping) return;
    if (host->driver->configure) host->driver->configure(host->runtime);
    if (!uv_is_active((uv_handle_t *)&host->tick)) return; /* it has not begun */
    start_timers(host);
    beat(host);
}

static void on_listed(void *ctx) {
    beat(ctx);
}

/* host_up is published by the next tick, after the events of this reconcile. */
static void on_reconciled(void *ctx) {
    struct wp_host *host = ctx;
    wp_replaced_look(&host->replaced);
    if (!host->up_wanted) return;
    host->up_wanted = false;
    host->up_unpublished = true;
}

static void on_wake(void *ctx, struct wp_str id, struct wp_str traceparent) {
    struct wp_host *host = ctx;
    wp_start_spans_note(&host->table.spans, id, traceparent);
    wp_desired_want(&host->reconcile.desired, id);
}

static void on_taken(void *ctx) {
    struct wp_host *host = ctx;
    wp_desired_read(&host->reconcile.desired);
}

/* Commands before this moment were not read; a reconcile makes up for them. */
static void on_positioned(void *ctx) {
    struct wp_host *host = ctx;
    wp_reconcile(&host->reconcile);
}

static void open_parts(struct wp_host *host, struct wp_producer *producer, struct wp_wire *wire) {
    host->table = (struct held_table){.config = host->config,
                                      .stats = host->stats,
                                      .producer = producer,
                                      .wire = wire,
                                      .driver = host->driver,
                                      .claims = host->claims,
                                      .spans = {.config = host->config}};
    wp_reconcile_init(&host->reconcile, &host->table, host->link, &host->pins);
    host->replaced = (struct host_replaced){.table = &host->table, .link = host->link, .pins = &host->pins};
    host->reconcile.on_listed = on_listed;
    host->reconcile.on_success = on_reconciled;
    host->reconcile.ctx = host;
    host->commands = (struct host_commands){.loop = host->loop,
                                            .config = host->config,
                                            .producer = producer,
                                            .wire = wire,
                                            .pins = &host->pins,
                                            .on_wake = on_wake,
                                            .on_taken = on_taken,
                                            .on_positioned = on_positioned,
                                            .ctx = host};
}

enum wp_err wp_host_new(struct wp_host **ret_host, uv_loop_t *loop, const struct wp_config *config,
                        struct wp_stats *stats, struct wp_link *link, struct wp_producer *producer,
                        struct wp_wire *wire, struct wp_error *error) {
    enum wp_err err = wp_host_check(config, error);
    if (err) return err;
    const struct wp_runtime_driver *driver = wp_runtime_driver_find(config->host.runtime);
    char *root = wp_claims_root(config, driver->has_folders && wp_config_cleans_any(config)),
         *claims = wp_claims_folder(root, config->host.name);
    err = wp_claims_open(root, claims, error);
    if (err) {
        free(root);
        free(claims);
        return err;
    }
    struct wp_host *host = wp_calloc(1, sizeof *host);
    *host = (struct wp_host){.loop = loop,
                             .config = config,
                             .stats = stats,
                             .link = link,
                             .driver = driver,
                             .root = root,
                             .claims = claims};
    host->pins = (struct host_pins){.on_none = on_unpinned, .ctx = host};
    open_parts(host, producer, wire);
    err = driver->open(&host->runtime, loop, config, wp_reconcile_notify, &host->reconcile, error);
    if (err) {
        free(root);
        free(claims);
        free(host);
        return err;
    }
    host->table.runtime = host->runtime;
    set_not_ready(host, NOT_LISTED);
    init_timer(host, &host->beat);
    init_timer(host, &host->interval);
    init_timer(host, &host->tick);
    *ret_host = host;
    return WP_OK;
}

void wp_host_on_forgotten(struct wp_host *host, void (*forgotten)(void *ctx), void *ctx) {
    host->forgotten = forgotten;
    host->forgotten_ctx = ctx;
}

void wp_host_trace(struct wp_host *host, struct wp_exporter *exporter) {
    host->table.spans.exporter = exporter;
}

void wp_host_link_ready(struct wp_host *host) {
    if (host->stopping) return;
    start_timers(host);
    host->up_wanted = true;
    beat(host);
    wp_reconcile(&host->reconcile);
}

/* Destroys the containers that are not ready, so that other hosts make them. */
static void give_up_unready(struct wp_host *host) {
    host->away_unpublished = true;
    publish_up_or_down(host);
    for (struct held *held = host->table.list; held; held = held->hh.next) {
        if (held->state == HELD_CREATING || (held->state == HELD_BUSY && held->step == STEP_BIND))
            host->driver->destroy(host->runtime, wp_str(held->id));
    }
}

static void give_up_all(struct wp_host *host) {
    host->down_unpublished = true;
    publish_up_or_down(host);
    for (struct held *held = host->table.list; held; held = held->hh.next) {
        if (held->state == HELD_CREATING || held->state == HELD_READY || held->state == HELD_BUSY)
            host->driver->destroy(host->runtime, wp_str(held->id));
    }
}

static void stop_parts(struct wp_host *host) {
    host->stopping = true;
    wp_commands_stop(&host->commands);
    wp_reconcile_stop(&host->reconcile);
    wp_replaced_stop(&host->replaced);
}

void wp_host_leave(struct wp_host *host) {
    if (host->left) return;
    host->left = true;
    if (destroys_on_exit(host))
        give_up_all(host);
    else
        give_up_unready(host);
    host->stopped(host->stopped_ctx);
}

/* Its containers are set aside in steps before the first one is destroyed: nobody gets a dead one. */
static void on_last_beat(void *ctx, const redisReply *reply, const char *error) {
    struct wp_host *host = ctx;
    (void)error;
    bool more = reply && reply->type == REDIS_REPLY_STRING && !host->left;
    if (more) snprintf(host->after, sizeof host->after, "%s", reply->str);
    if (!more || !send_beat(host, on_last_beat)) wp_host_leave(host);
    wp_host_unpin(&host->pins);
}

/* Sends a last heartbeat first, because Redis must know that the host drains before any worker handles
 * host_down. */
void wp_host_stop(struct wp_host *host, void (*stopped)(void *ctx), void *ctx) {
    if (host->stopping) return;
    stop_parts(host);
    host->stopped = stopped;
    host->stopped_ctx = ctx;
    uv_timer_stop(&host->beat); /* a heartbeat after host_down would register the host anew */
    if (!send_beat(host, on_last_beat)) wp_host_leave(host);
}

static void timer_closed(uv_handle_t *handle) {
    struct wp_host *host = handle->data;
    wp_host_unpin(&host->pins);
}

void wp_host_free(struct wp_host *host) {
    if (!host) return;
    stop_parts(host);
    host->freed = true;
    host->driver->close(host->runtime);
    wp_commands_close(&host->commands);
    struct held *held, *next_held;
    HASH_ITER(hh, host->table.list, held, next_held) {
        if (destroys_on_exit(host)) wp_claims_remove(host->claims, held->id);
        wp_held_drop(&host->table, held);
    }
    if (destroys_on_exit(host)) wp_claims_close(host->config, host->root, host->claims);
    wp_desired_done(&host->reconcile.desired);
    wp_start_spans_done(&host->table.spans);
    uv_close((uv_handle_t *)&host->beat, timer_closed);
    uv_close((uv_handle_t *)&host->interval, timer_closed);
    uv_close((uv_handle_t *)&host->tick, timer_closed);
}
