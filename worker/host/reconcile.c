/* What Redis wants of this host's containers against what the runtime has: read calls, and one step at a time
 * per container. The loop's thread.
 *
 * A read is as old as its sending: a container whose state changed since then is not judged by it but asked
 * for again. */
#include <stdlib.h>
#include "core/clock.h"
#include "core/log.h"
#include "core/pack.h"
#include "host/claims.h"
#include "host/host_internal.h"

#define ASK_MAX 48 /* containers in one call: the arguments of a call are bounded */

struct call { /* under way */
    struct wp_host *host;
    uint64_t changes; /* host->changes when it was sent */
    uint64_t since;   /* the same of the first page of `owned` */
    bool owned;
};

struct wanted { /* one row of an answer */
    struct wp_str id, state, philosophy;
    struct wp_limits limits;
    struct wp_str number, claim; /* of a bind or reset; the claim to be bound */
};

/* --- one container
 * -------------------------------------------------------------------------------------------------- */

static void create(struct wp_host *host, const struct wanted *wanted) {
    struct held *held = wp_held_add(host, wanted->id, HELD_CREATING);
    struct wp_error error = {0};
    snprintf(held->philosophy, sizeof held->philosophy, "%.*s", (int)wanted->philosophy.len,
             wanted->philosophy.ptr);
    if (wp_claims_make(host->claims, held->id, &error) != WP_OK) {
        wp_held_over(host, held, WP_CONTAINER_FAILED, wp_str(error.text));
        wp_held_say(host, held);
        return;
    }
    struct wp_container_spec spec = {
        .id = wanted->id, .philosophy = wanted->philosophy, .limits = wanted->limits};
    host->driver->create(host->runtime, &spec);
}

void wp_held_destroy(struct wp_host *host, struct held *held) {
    wp_held_set(host, held, HELD_ENDING);
    host->driver->destroy(host->runtime, wp_str(held->id));
}

/* Nothing is here of what Redis counts on. */
static void report_missing(struct wp_host *host, const struct wanted *wanted) {
    bool ending = wp_str_is(wanted->state, "ending");
    struct held *held = wp_held_add(host, wanted->id, HELD_OVER);
    snprintf(held->philosophy, sizeof held->philosophy, "%.*s", (int)wanted->philosophy.len,
             wanted->philosophy.ptr);
    wp_held_over(host, held, ending ? WP_CONTAINER_GONE : WP_CONTAINER_DIED,
                 ending ? WP_STR("") : WP_STR("not found by its host"));
    wp_held_say(host, held);
}

/* Redis has forgotten, and Kafka does not tell far enough back. */
static bool leave_alone(struct held *held, const struct wanted *wanted) {
    if (!wp_str_is(wanted->state, "unknown")) return false;
    if (!held->left_alone)
        wp_log(WP_LOG_WARN, "container_left_alone", "container=%s reason=%s", held->id,
               "it may have been leased before container-assignment begins; remove it by hand when nobody "
               "uses it");
    held->left_alone = true;
    return true;
}

static void judge_over(struct wp_host *host, struct held *held, const struct wanted *wanted) {
    if (wanted->state.len == 0 || wp_str_is(wanted->state, "unknown")) {
        wp_held_drop(host, held);
        return;
    }
    if (wp_str_is(wanted->state, "ending")) held->over = WP_CONTAINER_GONE;
    if (held->over == WP_CONTAINER_GONE && !wp_str_is(wanted->state, "ending"))
        wp_held_over(host, held, WP_CONTAINER_DIED, WP_STR("destroyed by its host"));
    wp_held_say(host, held); /* it was said, and Redis has not heard it */
}

static void judge_ready(struct wp_host *host, struct held *held, const struct wanted *wanted) {
    if (leave_alone(held, wanted)) return;
    held->unowned = wanted->state.len == 0;
    if (held->unowned || wp_str_is(wanted->state, "ending"))
        wp_held_destroy(host, held);
    else if (wp_str_is(wanted->state, "creating"))
        wp_held_say(host, held);
    else if (wp_str_is(wanted->state, "paused"))
        wp_held_pause(host, held);
    else if (wp_str_is(wanted->state, "binding"))
        wp_held_bind(host, held, wanted->number, wanted->claim);
    else if (wp_str_is(wanted->state, "resetting"))
        wp_held_reset(host, held, wanted->number);
}

static void judge(struct wp_host *host, const struct wanted *wanted, uint64_t asked_at) {
    struct held *held = wp_held_find(host, wanted->id);
    if (!held) {
        if (wp_str_is(wanted->state, "creating"))
            create(host, wanted);
        else if (wanted->state.len > 0 && !wp_str_is(wanted->state, "unknown"))
            report_missing(host, wanted);
        return;
    }
    held->seen = true;
    if (wanted->philosophy.len > 0)
        snprintf(held->philosophy, sizeof held->philosophy, "%.*s", (int)wanted->philosophy.len,
                 wanted->philosophy.ptr);
    if (held->changed > asked_at)
        wp_host_ask(host, wanted->id);
    else if (held->state == HELD_CREATING)
        held->ask_again = !wp_str_is(wanted->state, "creating");
    else if (held->state == HELD_BUSY)
        held->ask_again = true;
    else if (held->state == HELD_READY)
        judge_ready(host, held, wanted);
    else if (held->state == HELD_OVER)
        judge_over(host, held, wanted);
}

/* --- answers
 * -------------------------------------------------------------------------------------------------------- */

/* *ret_last: the last row's container, empty when there are none. */
static bool judge_rows(struct wp_host *host, struct wp_str bytes, uint64_t asked_at,
                       struct wp_str *ret_last) {
    struct wp_unpack in = wp_unpack(bytes);
    uint32_t rows = wp_unpack_array(&in);
    *ret_last = WP_STR("");
    for (uint32_t i = 0; i < rows && !in.failed; i++) {
        uint32_t fields = wp_unpack_array(&in);
        struct wanted wanted = {
            .id = wp_unpack_str(&in), .state = wp_unpack_str(&in), .philosophy = wp_unpack_str(&in)};
        wanted.limits = (struct wp_limits){.cpu_percent = wp_unpack_double(&in)};
        wanted.limits.memory_mb = wp_unpack_double(&in);
        wanted.number = wp_unpack_str(&in);
        wanted.claim = wp_unpack_str(&in);
        if (fields != 7 || in.failed) return false;
        judge(host, &wanted, asked_at);
        *ret_last = wanted.id;
    }
    return !in.failed;
}

/* Those that Redis does not name as ours: it is asked what they are. */
static void ask_for_unnamed(struct wp_host *host, uint64_t asked_at) {
    for (struct held *held = host->held; held; held = held->hh.next)
        if (!held->seen && held->changed <= asked_at) wp_host_ask(host, wp_str(held->id));
}

static void end_reconcile(struct wp_host *host, bool ok) {
    host->reconciling = false;
    if (ok && host->up_wanted) {
        host->up_wanted = false;
        host->up_unsaid = true; /* said by the tick that follows, after the events of this reconcile */
    }
    if (!host->reconcile_again) return;
    host->reconcile_again = false;
    wp_host_reconcile(host);
}

static bool ask_owned(struct wp_host *host, struct wp_str after, uint64_t since);

static void on_answer(void *ctx, const redisReply *reply, const char *error) {
    struct call call = *(struct call *)ctx;
    struct wp_host *host = call.host;
    struct wp_str last = WP_STR("");
    free(ctx);
    bool ok = reply && reply->type == REDIS_REPLY_STRING && !host->stopping &&
              judge_rows(host, (struct wp_str){reply->str, reply->len}, call.changes, &last);
    if (ok && call.owned && last.len > 0 && ask_owned(host, last, call.since)) {
        wp_host_ask_now(host);
        wp_host_unpin(host);
        return;
    }
    ok = ok && (!call.owned || last.len == 0); /* an empty page is the end */
    if (ok && call.owned) ask_for_unnamed(host, call.since);
    if (!ok && !host->stopping) {
        wp_log(WP_LOG_WARN, "host_read_failed", "function=%s reason=%s", call.owned ? "owned" : "desired",
               !reply                             ? error
               : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                  : "an answer of another form");
    }
    if (call.owned)
        end_reconcile(host, ok);
    else
        host->asking = false;
    if (!ok && !call.owned)
        host->reconcile_again = true; /* its containers are among all of them: the tick looks */
    wp_host_ask_now(host);
    wp_host_unpin(host);
}

static bool send_call(struct wp_host *host, const char *function, const struct wp_str *args, size_t count,
                      struct call of) {
    struct call *call = wp_calloc(1, sizeof *call);
    *call = of;
    call->host = host;
    call->changes = host->changes;
    if (wp_link_call(host->link, function, args, count, on_answer, call) != WP_OK) {
        free(call);
        return false;
    }
    host->pins++;
    return true;
}

/* The page of the host's containers behind that one (empty: the first page). */
static bool ask_owned(struct wp_host *host, struct wp_str after, uint64_t since) {
    struct wp_str args[] = {wp_str(host->config->host.name), after};
    return send_call(host, "owned", args, 2, (struct call){.owned = true, .since = since});
}

/* --- asking
 * ---------------------------------------------------------------------------------------------------------
 */

void wp_host_ask(struct wp_host *host, struct wp_str id) {
    struct asked *asked;
    HASH_FIND(hh, host->asked, id.ptr, id.len, asked);
    if (asked) return;
    asked = wp_calloc(1, sizeof *asked);
    asked->id = wp_strndup(id);
    HASH_ADD_KEYPTR(hh, host->asked, asked->id, id.len, asked);
}

/* One call at a time: what comes while it is under way is the next one's batch. */
void wp_host_ask_now(struct wp_host *host) {
    if (host->asking || host->stopping || !host->asked || !wp_link_ready(host->link)) return;
    struct wp_str args[1 + ASK_MAX] = {wp_str(host->config->host.name)};
    struct asked *taken[ASK_MAX], *asked, *next;
    size_t count = 0;
    HASH_ITER(hh, host->asked, asked, next) {
        if (count == ASK_MAX) break;
        HASH_DEL(host->asked, asked);
        args[1 + count] = wp_str(asked->id);
        taken[count++] = asked;
    }
    host->asking = send_call(host, "desired", args, 1 + count, (struct call){0});
    if (!host->asking) host->reconcile_again = true;
    for (size_t i = 0; i < count; i++) {
        free(taken[i]->id);
        free(taken[i]);
    }
}

static void on_listed(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address) {
    struct wp_host *host = ctx;
    struct held *held = wp_held_find(host, id);
    if (!held) { /* of a worker before us: adopted, Redis will say what it is */
        bool paused = state == WP_CONTAINER_PAUSED;
        enum held_state known = state == WP_CONTAINER_READY || paused ? HELD_READY
                                : state == WP_CONTAINER_STARTING      ? HELD_CREATING
                                                                      : HELD_ENDING;
        held = wp_held_add(host, id, known);
        held->paused = paused;
    }
    held->seen = true;
    if (state == WP_CONTAINER_READY || state == WP_CONTAINER_PAUSED)
        snprintf(held->address, sizeof held->address, "%.*s", (int)address.len, address.ptr);
}

static bool is_held(void *ctx, const char *id) {
    return wp_held_find(ctx, wp_str(id)) != NULL;
}

static void on_list_end(void *ctx, bool ok) {
    struct wp_host *host = ctx;
    for (struct held *held = host->held; held; held = held->hh.next) {
        if (ok && held->state == HELD_READY && !held->seen && held->changed <= host->listed_at)
            wp_held_over(host, held, WP_CONTAINER_DIED, WP_STR("not found by its host"));
        held->seen = false; /* from here on: named by Redis */
    }
    if (ok) wp_claims_keep(host->claims, is_held, host);
    if (ok && !host->listed) {
        host->listed = true;
        wp_host_beat(host);
    }
    if (!ok || host->stopping || !ask_owned(host, WP_STR(""), host->changes)) end_reconcile(host, false);
}

void wp_host_reconcile(struct wp_host *host) {
    if (host->stopping || !wp_link_ready(host->link)) return; /* wp_host_link_ready comes again */
    if (host->reconciling) {
        host->reconcile_again = true;
        return;
    }
    host->reconciling = true;
    host->listed_at = host->changes;
    for (struct held *held = host->held; held; held = held->hh.next) held->seen = false;
    host->driver->list(host->runtime, on_listed, on_list_end, host);
}

/* --- what the runtime says
 * ------------------------------------------------------------------------------------------ */

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

void wp_host_runtime_says(void *ctx, struct wp_str id, enum wp_container_state state, struct wp_str address,
                          struct wp_str detail) {
    struct wp_host *host = ctx;
    struct held *held = wp_held_find(host, id);
    if (!held || host->stopping) return; /* while it stops, host_down has said it for all */
    if (state == WP_CONTAINER_PAUSED || state == WP_CONTAINER_RUNNING || state == WP_CONTAINER_RAN) {
        wp_held_step_over(host, held, state);
        return;
    }
    if (state == WP_CONTAINER_READY) {
        if (held->state != HELD_CREATING) return;
        snprintf(held->address, sizeof held->address, "%.*s", (int)address.len, address.ptr);
        wp_held_set(host, held, HELD_READY);
    } else {
        wp_held_over(host, held, state, detail);
    }
    log_state(held, state);
    bool ask_again = held->ask_again;
    held->ask_again = false;
    if (ask_again && state == WP_CONTAINER_READY) {
        wp_host_ask(host, id);
        wp_host_ask_now(host);
    }
    if (held->unowned && held->state == HELD_OVER)
        wp_held_drop(host, held);
    else
        wp_held_say(host, held);
}
