/* Composes the figures of the status page out of the metrics record and the shared figures. The loop's
 * thread.
 */
#include "ops/page_figures.h"
#include "core/clock.h"
#include "ops/figures.h"
#include "ops/metrics_record.h"
#include "ops/readiness.h"
#include "wire/text.h"
#include <stdlib.h>

/* ---- the pools with the most to do ---- */

struct ranked {
    const char *name;
    json_t *pool;
};

static int64_t work_of(const json_t *pool) {
    static const int64_t waits = 1000000; /* above any number of containers */
    return waits * count_of(pool, "waiting") + 2 * count_of(pool, "leased") + 2 * count_of(pool, "creating") +
           count_of(pool, "available") + (json_is_true(json_object_get(pool, "active")) ? 1 : 0);
}

static int compare(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    int64_t works_a = work_of(a->pool), works_b = work_of(b->pool);
    if (works_a != works_b) return works_a > works_b ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int compare_names(const void *left, const void *right) {
    return strcmp(((const struct ranked *)left)->name, ((const struct ranked *)right)->name);
}

/* pools: of the record; known: of the shared figures. The list is by name, so that rows keep their places. */
static json_t *list_pools(json_t *pools, const json_t *known) {
    size_t count = 0;
    struct ranked *all = wp_calloc(json_object_size(pools) + 1, sizeof *all);
    const char *name;
    json_t *pool, *list = json_array();
    json_object_foreach(pools, name, pool) all[count++] = (struct ranked){name, pool};
    if (count > PAGE_POOLS_MAX) {
        qsort(all, count, sizeof *all, compare);
        count = PAGE_POOLS_MAX;
    }
    qsort(all, count, sizeof *all, compare_names);
    for (size_t i = 0; i < count; i++) {
        const json_t *more = json_object_get(known, all[i].name);
        json_object_set_new(all[i].pool, "name", json_string(all[i].name));
        json_object_set_new(all[i].pool, "waiting_seconds",
                            json_integer(count_of(more, "oldest_waiting_ms") / 1000));
        json_array_append(list, all[i].pool);
    }
    free(all);
    return list;
}

/* ---- the rest ---- */

static json_t *reasons_of(const struct wp_stats *stats) {
    struct wp_buf text = {0};
    json_t *list = json_array();
    readiness_write(stats, &text);
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        end = at + (size_t)((char *)memchr(text.data + at, '\n', text.len - at) - (text.data + at));
        json_array_append_new(list, json_stringn_nocheck(text.data + at, end - at));
    }
    wp_buf_done(&text);
    return list;
}

/* A member that is there, or an empty object: Redis' JSON has no empty arrays of a known kind. */
static json_t *object_of(const json_t *from, const char *name) {
    json_t *member = json_object_get(from, name);
    return json_is_object(member) ? json_incref(member) : json_object();
}

void page_figures_write(const struct ops_snapshot *of, struct wp_buf *out) {
    json_t *record = metrics_record(of), *figures = json_object();
    json_t *pool_stats = json_object_get(record, "pool_stats"), *pools = json_object_get(pool_stats, "pools");
    json_t *reasons = reasons_of(of->base->stats);
    json_t *list = list_pools(pools, json_object_get(of->shared->pool, "pools"));
    json_object_set_new(figures, "pools_more",
                        json_integer((json_int_t)(json_object_size(pools) - json_array_size(list))));
    json_object_set_new(figures, "pools", list);
    json_object_set(figures, "total", json_object_get(pool_stats, "total"));
    json_object_set(figures, "cache", json_object_get(record, "cache_stats"));
    json_object_set(figures, "worker", json_object_get(record, "worker"));
    json_object_set(figures, "warnings", json_object_get(record, "warnings"));
    json_object_set(figures, "targets", json_object_get(record, "targets"));
    json_object_set(figures, "tracked_agents", json_object_get(record, "tracked_agents"));
    json_object_set_new(figures, "hosts", object_of(of->shared->pool, "hosts"));
    json_object_set_new(figures, "tenants", object_of(of->shared->pool, "tenants"));
    json_object_set_new(figures, "ready", json_boolean(json_array_size(reasons) == 0));
    json_object_set_new(figures, "reasons", reasons);
    json_object_set_new(figures, "time_ms", json_integer(wp_clock_wall_ms()));
    json_object_set_new(figures, "shared_ms", json_integer(of->shared->pool_wall_ms));
    text_json(out, figures);
    json_decref(figures);
    json_decref(record);
}
