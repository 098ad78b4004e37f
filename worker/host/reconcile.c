/* Reconciles rows of Redis with the table of containers: one step at a time for each container.
 *
 * A row shows the state of the time when its call was sent. A container whose state has changed since then is
 * not reconciled with that row, but read again. */
#include "host/reconcile.h"
#include "core/ends.h"
#include "core/log.h"
#include "host/claims.h"
#include "host/bind.h"

/* ---- one container ---- */

static void create(struct held_table *table, const struct wanted *wanted) {
    struct held *held = wp_held_add(table, wanted->id, HELD_CREATING);
    struct wp_error error = {0};
    snprintf(held->philosophy, sizeof held->philosophy, "%.*s", (int)wanted->philosophy.len,
             wanted->philosophy.ptr);
    if (wp_claims_make(table->claims, held->id, &error) != WP_OK) {
        wp_start_spans_failed(&table->spans, wanted->id, wp_str(error.text));
        wp_held_over(table, held, WP_CONTAINER_FAILED, wp_str(error.text));
        wp_held_publish(table, held);
        return;
    }
    wp_start_spans_begin(&table->spans, wanted->id);
    struct wp_container_spec spec = {.id = wanted->id,
                                     .philosophy = wanted->philosophy,
                                     .limits = wanted->limits,
                                     .spare = wp_str_is(wanted->number, "spare")};
    table->driver->create(table->runtime, &spec);
}

/* Nothing to do after an error: the event that is published beside it says the same. */
static void on_told(void *ctx, const redisReply *reply, const char *error) {
    (void)reply;
    (void)error;
    wp_host_unpin(((struct host_reconcile *)ctx)->desired.pins);
}

/* Tells Redis at once, so that nobody gets it: its event may wait for a worker to take over its partition. */
static void tell_ended(struct host_reconcile *reconcile, struct held *held) {
    struct wp_str id = wp_str(held->id);
    if (held->told || !wp_link_ready(reconcile->desired.link)) return;
    held->told = wp_link_call(reconcile->desired.link, "ended", &id, 1, on_told, reconcile) == WP_OK;
    if (held->told) wp_host_pin(reconcile->desired.pins);
}

/* One that was ready has ended. */
static void die(struct host_reconcile *reconcile, struct held *held, struct wp_str detail) {
    reconcile->table->stats->ended[wp_end_of(detail)]++;
    tell_ended(reconcile, held);
    wp_held_over(reconcile->table, held, WP_CONTAINER_DIED, detail);
}

/* The children of a worker end with it; others were removed. */
static struct wp_str not_found(const struct held_table *table) {
    return table->driver->outlives ? WP_STR("removed: not found by its host")
                                   : WP_STR("exited: not found by its host, it ended with its worker");
}

/* Redis names a container that this host does not have: publishes its end. */
static void report_missing(struct host_reconcile *reconcile, const struct wanted *wanted) {
    struct held_table *table = reconcile->table;
    bool ending = wp_str_is(wanted->state, "ending");
    struct held *held = wp_held_add(table, wanted->id, HELD_OVER);
    snprintf(held->philosophy, sizeof held->philosophy, "%.*s", (int)wanted->philosophy.len,
             wanted->philosophy.ptr);
    if (ending)
        wp_held_over(table, held, WP_CONTAINER_GONE, WP_STR(""));
    else
        die(reconcile, held, not_found(table));
    wp_held_publish(table, held);
}

/* True when Redis does not know whether the container is leased: it has lost its data, and
 * container-assignment does not reach back to the container's beginning. */
static bool leave_alone(struct held *held, const struct wanted *wanted) {
    if (!wp_str_is(wanted->state, "unknown")) return false;
    if (!held->left_alone)
        wp_log(WP_LOG_WARN, "container_left_alone", "container=%s reason=%s", held->id,
               "it may have been leased before container-assignment begins; remove it by hand when nobody "
               "uses it");
    held->left_alone = true;
    return true;
}

static void reconcile_over(struct held_table *table, struct held *held, const struct wanted *wanted) {
    if (wanted->state.len == 0 || wp_str_is(wanted->state, "unknown")) {
        wp_held_drop(table, held);
        return;
    }
    if (wp_str_is(wanted->state, "ending")) held->over = WP_CONTAINER_GONE;
    if (held->over == WP_CONTAINER_GONE && !wp_str_is(wanted->state, "ending"))
        wp_held_over(table, held, WP_CONTAINER_DIED, WP_STR("destroyed by its host"));
    wp_held_publish(table, held); /* again, because Redis still has the container */
}

/* Publishes that it is outdated, where Redis does not know. */
static void publish_outdated(struct held_table *table, struct held *held, const struct wanted *wanted) {
    struct wp_container_facts facts;
    if (wp_str_is(wanted->number, "outdated") ||
        !table->driver->facts(table->runtime, wp_str(held->id), &facts))
        return;
    if (facts.outdated) wp_held_publish_outdated(table, held, facts.outdated);
}

static void reconcile_ready(struct held_table *table, struct held *held, const struct wanted *wanted) {
    if (leave_alone(held, wanted)) return;
    held->unowned = wanted->state.len == 0;
    if (!held->unowned && !wp_str_is(wanted->state, "ending")) publish_outdated(table, held, wanted);
    if (held->unowned || wp_str_is(wanted->state, "ending"))
        wp_held_destroy(table, held);
    else if (wp_str_is(wanted->state, "paused"))
        wp_held_pause(table, held);
    else if (wp_str_is(wanted->state, "binding"))
        wp_held_bind(table, held, wanted->number, wanted->claim);
    else if (held->paused)
        wp_held_resume(table, held);
    else if (wp_str_is(wanted->state, "creating"))
        wp_held_publish(table, held);
    else if (wp_str_is(wanted->state, "resetting"))
        wp_held_reset(table, held, wanted->number);
}

static void reconcile_row(void *ctx, const struct wanted *wanted, uint64_t asked_at) {
    struct host_reconcile *reconcile = ctx;
    struct held_table *table = reconcile->table;
    struct held *held = wp_held_find(table, wanted->id);
    if (!held) {
        if (wp_str_is(wanted->state, "creating"))
            create(table, wanted);
        else if (wanted->state.len > 0 && !wp_str_is(wanted->state, "unknown"))
            report_missing(reconcile, wanted);
        return;
    }
    held->seen = true;
    if (wanted->philosophy.len > 0)
        snprintf(held->philosophy, sizeof held->philosophy, "%.*s", (int)wanted->philosophy.len,
                 wanted->philosophy.ptr);
    if (held->changed > asked_at)
        wp_desired_want(&reconcile->desired, wanted->id);
    else if (held->state == HELD_CREATING)
        held->ask_again = !wp_str_is(wanted->state, "creating");
    else if (held->state == HELD_BUSY)
        held->ask_again = true;
    else if (held->state == HELD_READY)
        reconcile_ready(table, held, wanted);
    else if (held->state == HELD_OVER)
        reconcile_over(table, held, wanted);
}

/* ---- one reconcile: from the runtime's list to the last row of Redis ---- */

/* Containers that Redis did not list for this host: reads their rows by name. */
static void ask_for_unnamed(struct host_reconcile *reconcile, uint64_t asked_at) {
    for (struct held *held = reconcile->table->list; held; held = held->hh.next)
        if (!held->seen && held->changed <= asked_at) wp_desired_want(&reconcile->desired, wp_str(held->id));
}

static void end(struct host_reconcile *reconcile, bool ok) {
    reconcile->running = false;
    if (ok) reconcile->on_success(reconcile->ctx);
    if (!reconcile->again) return;
    reconcile->again = false;
    wp_reconcile(reconcile);
}

static void on_read(void *ctx, bool all, bool ok, uint64_t since) {
    struct host_reconcile *reconcile = ctx;
    if (all && ok) ask_for_unnamed(reconcile, since);
    if (all)
        end(reconcile, ok);
    else if (!ok)
        reconcile->again = true; /* the reads by name have failed: the tick reconciles all */
}

/* A container that this worker does not know yet: an earlier worker made it, or it has died, was published
 * and forgotten, and cannot be removed. The rows of Redis decide about it. */
static struct held *adopt(struct host_reconcile *reconcile, struct wp_str id, enum wp_container_state state,
                          struct wp_str detail) {
    bool paused = state == WP_CONTAINER_PAUSED;
    enum held_state known = state == WP_CONTAINER_READY || paused ? HELD_READY
                            : state == WP_CONTAINER_STARTING      ? HELD_CREATING
                                                                  : HELD_ENDING;
    struct held *held = wp_held_add(reconcile->table, id, known);
    held->paused = paused;
    if (state == WP_CONTAINER_DIED || state == WP_CONTAINER_FAILED) {
        tell_ended(reconcile, held);
        wp_held_over(reconcile->table, held, state, detail);
    }
    return held;
}

static void on_listed(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                      struct wp_str detail) {
    struct host_reconcile *reconcile = ctx;
    struct held *held = wp_held_find(reconcile->table, id);
    if (!held) held = adopt(reconcile, id, state, detail);
    held->seen = true;
    if (state == WP_CONTAINER_READY || state == WP_CONTAINER_PAUSED)
        snprintf(held->address, sizeof held->address, "%.*s", (int)address.len, address.ptr);
}

static bool is_held(void *ctx, const char *id) {
    return wp_held_find(ctx, wp_str(id)) != NULL;
}

static void on_list_end(void *ctx, bool ok) {
    struct host_reconcile *reconcile = ctx;
    struct held_table *table = reconcile->table;
    for (struct held *held = table->list; held; held = held->hh.next) {
        if (ok && held->state == HELD_READY && !held->seen && held->changed <= reconcile->listed_at)
            die(reconcile, held, not_found(table));
        held->seen = false; /* from here on: listed by Redis */
    }
    if (ok) wp_claims_keep(table->claims, is_held, table);
    if (ok && !reconcile->listed) {
        reconcile->listed = true;
        reconcile->on_listed(reconcile->ctx);
    }
    if (!ok || reconcile->stopped || !wp_desired_read_all(&reconcile->desired)) end(reconcile, false);
}

void wp_reconcile(struct host_reconcile *reconcile) {
    struct held_table *table = reconcile->table;
    if (reconcile->stopped || !wp_link_ready(reconcile->desired.link))
        return; /* wp_host_link_ready reconciles later */
    if (reconcile->running) {
        reconcile->again = true;
        return;
    }
    reconcile->running = true;
    reconcile->listed_at = table->changes;
    for (struct held *held = table->list; held; held = held->hh.next) held->seen = false;
    table->driver->list(table->runtime, on_listed, on_list_end, reconcile);
}

void wp_reconcile_tick(struct host_reconcile *reconcile) {
    if (!reconcile->again || reconcile->running) return;
    reconcile->again = false;
    wp_reconcile(reconcile);
}

void wp_reconcile_init(struct host_reconcile *reconcile, struct held_table *table, struct wp_link *link,
                       struct host_pins *pins) {
    reconcile->table = table;
    reconcile->desired = (struct host_desired){.link = link,
                                               .table = table,
                                               .pins = pins,
                                               .on_row = reconcile_row,
                                               .on_end = on_read,
                                               .ctx = reconcile};
}

void wp_reconcile_stop(struct host_reconcile *reconcile) {
    reconcile->stopped = true;
    wp_desired_stop(&reconcile->desired);
}

/* ---- events of the runtime ---- */

static void log_state(const struct held *held, enum wp_container_state state) {
    if (state == WP_CONTAINER_READY)
        wp_log(WP_LOG_INFO, "container_started", "container=%s philosophy=%s address=%s", held->id,
               held->philosophy, held->address);
    else if (state == WP_CONTAINER_DIED)
        wp_log(WP_LOG_INFO, "container_died", "container=%s philosophy=%s reason=%s", held->id,
               held->philosophy, held->detail);
    else if (state == WP_CONTAINER_FAILED)
        wp_log(WP_LOG_WARN, "container_failed", "container=%s philosophy=%s reason=%s", held->id,
               held->philosophy, held->detail);
    else
        wp_log(WP_LOG_DEBUG, "container_gone", "container=%s philosophy=%s", held->id, held->philosophy);
}

static void count_out_of_memory(struct held_table *table, const struct held *held) {
    table->stats->out_of_memory++;
    wp_log(WP_LOG_WARN, "container_out_of_memory", "container=%s philosophy=%s", held->id, held->philosophy);
}

static void read_again(struct host_reconcile *reconcile, struct wp_str id) {
    wp_desired_want(&reconcile->desired, id);
    wp_desired_read(&reconcile->desired);
}

static void send_start_spans(struct held_table *table, const struct held *held) {
    struct wp_container_facts facts;
    if (table->driver->facts(table->runtime, wp_str(held->id), &facts))
        wp_start_spans_ready(&table->spans, wp_str(held->id), &facts);
}

void wp_reconcile_notify(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                         struct wp_str detail) {
    struct host_reconcile *reconcile = ctx;
    struct held_table *table = reconcile->table;
    struct held *held = wp_held_find(table, id);
    if (!held || reconcile->stopped) return; /* during a stop host_down is published instead */
    if (state == WP_CONTAINER_DYING) {
        tell_ended(reconcile, held);
        wp_held_publish_dying(table, held);
        return;
    }
    if (state == WP_CONTAINER_OUTDATED) {
        read_again(reconcile, id);
        return;
    }
    if (state == WP_CONTAINER_OUT_OF_MEMORY) {
        count_out_of_memory(table, held);
        return;
    }
    if (state >= WP_CONTAINER_PAUSED && state <= WP_CONTAINER_CLEANED) {
        if (wp_held_step_over(table, held, state)) read_again(reconcile, id);
        return;
    }
    if (state == WP_CONTAINER_READY) {
        if (held->state != HELD_CREATING) return;
        snprintf(held->address, sizeof held->address, "%.*s", (int)address.len, address.ptr);
        wp_held_set(table, held, HELD_READY);
        send_start_spans(table, held);
    } else if (state == WP_CONTAINER_DIED) {
        die(reconcile, held, detail);
    } else {
        if (state == WP_CONTAINER_FAILED) wp_start_spans_failed(&table->spans, id, detail);
        wp_held_over(table, held, state, detail);
    }
    log_state(held, state);
    bool ask_again = held->ask_again || held->paused;
    held->ask_again = false;
    if (ask_again && state == WP_CONTAINER_READY) read_again(reconcile, id);
    if (held->paused && state == WP_CONTAINER_READY) return; /* what Redis wants it for decides */
    if (held->unowned && held->state == HELD_OVER)
        wp_held_drop(table, held);
    else
        wp_held_publish(table, held);
}
