/* Reads the shared figures: a call for each slot, and one after the other for pages of pools. At most one
 * reading is under way. The loop's thread. */
#include "ops/shared.h"
#include "core/clock.h"
#include "ops/figures.h"
#include "pool/pool_pages.h"
#include <stdlib.h>

enum { OLD_US = 1000000 };

struct shared_reader {
    const struct ops_base *base;
    struct shared *into;
    int asking; /* answers that are awaited */
    bool freed;
    json_t *pages;    /* of the pools, as far as they have come; owned */
    int64_t asked_us; /* 0: never */
    shared_done done; /* NULL: nobody waits */
    void *ctx;
};

/* Replaces *known, taking `owned`; NULL changes nothing. */
static bool replace(json_t **known, json_t *owned) {
    if (!owned) return false;
    json_decref(*known);
    *known = owned;
    return true;
}

static void on_answer(struct shared_reader *reader) {
    shared_done done = reader->done;
    if (--reader->asking > 0) return;
    if (reader->freed) {
        json_decref(reader->pages);
        free(reader);
        return;
    }
    reader->done = NULL;
    if (done) done(reader->ctx);
}

static bool ask_pools(struct shared_reader *reader, struct wp_str from);

static void on_pool(void *ctx, const redisReply *reply, const char *error) {
    struct shared_reader *reader = ctx;
    json_t *page = wp_ops_parse(reply);
    (void)error;
    if (page) wp_pool_pages_add(&reader->pages, page);
    struct wp_str next = page ? wp_pool_pages_next(reader->pages) : WP_STR("");
    if (!reader->freed && next.len > 0 && ask_pools(reader, next)) return;
    if (!reader->freed && page && next.len == 0 && replace(&reader->into->pool, reader->pages)) {
        reader->pages = NULL;
        reader->into->pool_wall_ms = wp_clock_wall_ms();
    }
    on_answer(reader);
}

static bool ask_pools(struct shared_reader *reader, struct wp_str from) {
    return wp_link_call(reader->base->links[WP_SLOT_POOL], "pool_stats", &from, 1, on_pool, reader) == WP_OK;
}

static void on_cache(void *ctx, const redisReply *reply, const char *error) {
    struct shared_reader *reader = ctx;
    (void)error;
    if (!reader->freed) (void)replace(&reader->into->cache, wp_ops_parse(reply));
    on_answer(reader);
}

void shared_read(struct shared_reader *reader, shared_done done, void *ctx) {
    struct wp_link *const *links = reader->base->links;
    if (!reader->done) {
        reader->done = done;
        reader->ctx = ctx;
    }
    if (reader->asking > 0) return; /* a reading is under way */
    reader->asked_us = wp_clock_us();
    reader->asking = 1; /* for this function, so that `done` waits until both calls are sent */
    json_decref(reader->pages);
    reader->pages = NULL;
    if (ask_pools(reader, WP_STR(""))) reader->asking++;
    if (!wp_link_call(links[WP_SLOT_CACHE], "cache_stats", NULL, 0, on_cache, reader)) reader->asking++;
    on_answer(reader);
}

void shared_read_if_old(struct shared_reader *reader) {
    if (reader && (reader->asked_us == 0 || wp_clock_us() - reader->asked_us >= OLD_US))
        shared_read(reader, NULL, NULL);
}

struct shared_reader *shared_reader_new(const struct ops_base *base, struct shared *into) {
    struct shared_reader *reader = wp_calloc(1, sizeof *reader);
    reader->base = base;
    reader->into = into;
    return reader;
}

void shared_reader_free(struct shared_reader *reader) {
    if (!reader) return;
    reader->freed = true;
    if (reader->asking > 0) return; /* the last answer frees it */
    json_decref(reader->pages);
    free(reader);
}
