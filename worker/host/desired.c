/* The read calls of a host: see desired.h. */
#include "host/desired.h"
#include <stdlib.h>
#include "core/log.h"
#include "core/pack.h"
#include "core/secret.h"

#define ASK_MAX 48 /* containers in one call: the arguments of a call are bounded */

struct asked { /* a container to be read by the next call */
    char *id;  /* owned */
    UT_hash_handle hh;
};

struct read { /* a call under way */
    struct host_desired *desired;
    uint64_t changes; /* table->changes when it was sent */
    uint64_t since;   /* table->changes when the first page of all was sent */
    bool all;
};

/* ---- answers ---- */

/* False: the answer is malformed. *ret_last: the last row's container, empty when there are no rows. */
static bool notify_rows(struct host_desired *desired, struct wp_str bytes, uint64_t asked_at,
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
        desired->on_row(desired->ctx, &wanted, asked_at);
        *ret_last = wanted.id;
    }
    return !in.failed;
}

static void log_failure(const struct read *read, const redisReply *reply, const char *error) {
    wp_log(WP_LOG_WARN, "host_read_failed", "function=%s reason=%s", read->all ? "owned" : "desired",
           !reply                             ? error
           : reply->type == REDIS_REPLY_ERROR ? reply->str
                                              : "an answer of another form");
}

static bool read_page(struct host_desired *desired, struct wp_str after, uint64_t since);

/* True when there is another page, which was asked for. */
static bool take_answer(const struct read *read, const redisReply *reply, const char *error) {
    struct host_desired *desired = read->desired;
    struct wp_str last = WP_STR("");
    bool ok = reply && reply->type == REDIS_REPLY_STRING && !desired->stopped &&
              notify_rows(desired, (struct wp_str){reply->str, reply->len}, read->changes, &last);
    if (ok && read->all && last.len > 0 && read_page(desired, last, read->since)) return true;
    ok = ok && (!read->all || last.len == 0); /* an empty page is the end */
    if (!ok && !desired->stopped) log_failure(read, reply, error);
    if (!read->all) desired->asking = false;
    desired->on_end(desired->ctx, read->all, ok, read->since);
    return false;
}

static void on_answer(void *ctx, const redisReply *reply, const char *error) {
    struct read read = *(struct read *)ctx;
    free(ctx);
    (void)take_answer(&read, reply, error);
    if (reply && reply->str) wp_wipe(reply->str, reply->len); /* it may hold a claim */
    wp_desired_read(read.desired);
    wp_host_unpin(read.desired->pins);
}

/* ---- calls ---- */

static bool send_call(struct host_desired *desired, const char *function, const struct wp_str *args,
                      size_t count, struct read of) {
    struct read *read = wp_calloc(1, sizeof *read);
    *read = of;
    read->desired = desired;
    read->changes = desired->table->changes;
    if (wp_link_call(desired->link, function, args, count, on_answer, read) != WP_OK) {
        free(read);
        return false;
    }
    wp_host_pin(desired->pins);
    return true;
}

/* Asks for the page of the host's containers that follows the container `after` (empty: the first page). */
static bool read_page(struct host_desired *desired, struct wp_str after, uint64_t since) {
    struct wp_str args[] = {wp_str(desired->table->config->host.name), after};
    return send_call(desired, "owned", args, 2, (struct read){.all = true, .since = since});
}

bool wp_desired_read_all(struct host_desired *desired) {
    return read_page(desired, WP_STR(""), desired->table->changes);
}

void wp_desired_want(struct host_desired *desired, struct wp_str id) {
    struct asked *asked;
    HASH_FIND(hh, desired->asked, id.ptr, id.len, asked);
    if (asked) return;
    asked = wp_calloc(1, sizeof *asked);
    asked->id = wp_strndup(id);
    HASH_ADD_KEYPTR(hh, desired->asked, asked->id, id.len, asked);
}

static void free_asked(struct asked *asked) {
    free(asked->id);
    free(asked);
}

void wp_desired_read(struct host_desired *desired) {
    if (desired->asking || desired->stopped || !desired->asked || !wp_link_ready(desired->link)) return;
    struct wp_str args[1 + ASK_MAX] = {wp_str(desired->table->config->host.name)};
    struct asked *taken[ASK_MAX], *asked, *next;
    size_t count = 0;
    HASH_ITER(hh, desired->asked, asked, next) {
        if (count == ASK_MAX) break;
        HASH_DEL(desired->asked, asked);
        args[1 + count] = wp_str(asked->id);
        taken[count++] = asked;
    }
    desired->asking = send_call(desired, "desired", args, 1 + count, (struct read){0});
    if (!desired->asking) desired->on_end(desired->ctx, false, false, 0);
    for (size_t i = 0; i < count; i++) free_asked(taken[i]);
}

void wp_desired_stop(struct host_desired *desired) {
    desired->stopped = true;
}

void wp_desired_done(struct host_desired *desired) {
    struct asked *asked = desired->asked, *next;
    HASH_CLEAR(hh, desired->asked); /* the entries and their next pointers stay */
    for (; asked; asked = next) {
        next = asked->hh.next;
        free_asked(asked);
    }
}
