/* Joins pages of wp_pool_stats: see pool_pages.h. Pure. */
#include "pool/pool_pages.h"
#include <math.h>
#include <string.h>

struct wp_str wp_pool_pages_next(const json_t *page) {
    const char *next = json_string_value(json_object_get(page, "next"));
    return wp_str(next ? next : "");
}

/* Adds up the counters, and computes the share of warm starts from the sums. */
static void add_totals(json_t *total, json_t *more) {
    const char *name;
    json_t *value;
    json_object_foreach(more, name, value) json_object_set_new(
        total, name, json_real(json_number_value(json_object_get(total, name)) + json_number_value(value)));
    double warm = json_number_value(json_object_get(total, "warm_starts")),
           cold = json_number_value(json_object_get(total, "cold_starts"));
    json_object_set_new(total, "warm_start_rate_percent",
                        json_real(warm + cold > 0 ? round(warm / (warm + cold) * 10000) / 100 : 0));
}

void wp_pool_pages_add(json_t **all, json_t *page) {
    if (!*all) {
        *all = page;
        return;
    }
    add_totals(json_object_get(*all, "total"), json_object_get(page, "total"));
    json_object_update(json_object_get(*all, "pools"), json_object_get(page, "pools"));
    if (wp_pool_pages_next(page).len > 0)
        json_object_set(*all, "next", json_object_get(page, "next"));
    else
        json_object_del(*all, "next");
    json_decref(page);
}
