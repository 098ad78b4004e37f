/* The sums above the tables: see header.h. */
#include "top/header.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NEARLY_A_MINUTE_MS = 55000, WARM_TARGET = 90 /* percent, as docs/metrics.md */ };

/* Where the next words of a line go. */
struct pen {
    struct top_grid *grid;
    int row, col;
};

static void put(struct pen *pen, enum top_style style, const char *format, ...) WP_PRINTF(3, 4);
static void put(struct pen *pen, enum top_style style, const char *format, ...) {
    char text[600];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    wp_str_cut(text);
    int room = pen->grid->cols - pen->col;
    if (room > 0) pen->col += top_grid_text(pen->grid, pen->row, pen->col, room, style, wp_str(text));
}

static const char *plural(long long count) {
    return count == 1 ? "" : "s";
}

static void print_seconds(double ms, char *out, size_t size) {
    snprintf(out, size, ms < 10000 ? "%.1f s" : "%.0f s", ms / 1000);
}

static void draw_title(struct top_grid *grid, int row, const struct top_about *about) {
    char right[64];
    struct pen pen = {grid, row, 0};
    put(&pen, TOP_TITLE, " warmpool top  %s", about->where);
    top_grid_paint(grid, row, 0, grid->cols, TOP_TITLE);
    if (about->interval_s > 0)
        snprintf(right, sizeof right, "every %g s  %s ", about->interval_s, about->clock);
    else
        snprintf(right, sizeof right, "%s ", about->clock);
    int width = (int)strlen(right);
    if (pen.col + width < grid->cols)
        (void)top_grid_text(grid, row, grid->cols - width, width, TOP_TITLE, wp_str(right));
}

/* Rates are of the last minute; while less is known, the line says of how much. */
static void draw_requests(struct pen *pen, const struct top_model *model) {
    const struct top_sums *sums = &model->sums;
    char span[32];
    put(pen, TOP_DIM, " requests ");
    if (sums->rate.arrivals < 0) {
        put(pen, TOP_PLAIN, "not known yet");
    } else {
        put(pen, TOP_STRONG, "%.*f/min", sums->rate.arrivals < 100, sums->rate.arrivals);
        if (sums->span_ms < NEARLY_A_MINUTE_MS)
            put(pen, TOP_DIM, " over %.0f s", (double)sums->span_ms / 1000);
        double warm = sums->rate.starts > 0 ? 100 * sums->rate.warm / sums->rate.starts : -1;
        if (warm >= 0) put(pen, warm < WARM_TARGET ? TOP_PENDING : TOP_GOOD, "  %.1f%% warm", warm);
        if (sums->rate.rejected > 0) put(pen, TOP_BAD, "  %.0f rejected", sums->rate.rejected);
        if (sums->rate.lost > 0) put(pen, TOP_BAD, "  %.0f lost", sums->rate.lost);
    }
    put(pen, TOP_DIM, "  waiting ");
    put(pen, sums->waiting > 0 ? TOP_PENDING : TOP_PLAIN, "%lld", (long long)sums->waiting);
    print_seconds(sums->oldest_ms, span, sizeof span);
    if (sums->oldest_ms > 0) put(pen, TOP_PENDING, ", oldest %s (%s)", span, sums->oldest_pool);
}

static void draw_containers(struct pen *pen, const struct top_model *model) {
    const struct top_sums *sums = &model->sums;
    put(pen, TOP_DIM, " containers ");
    put(pen, TOP_GOOD, "%lld idle", (long long)sums->idle);
    put(pen, TOP_BUSY, "  %lld leased", (long long)sums->leased);
    if (sums->creating > 0) put(pen, TOP_PENDING, "  %lld making", (long long)sums->creating);
    put(pen, TOP_DIM, "  hosts ");
    put(pen, sums->hosts_up > 0 ? TOP_GOOD : TOP_BAD, "%d up", sums->hosts_up);
    if (sums->hosts > sums->hosts_up) put(pen, TOP_BAD, ", %d not", sums->hosts - sums->hosts_up);
    put(pen, TOP_PLAIN, "  %lld/%lld", (long long)sums->used, (long long)sums->capacity);
    if (sums->memory_mb > 0)
        put(pen, TOP_PLAIN, "  %.1f/%.0f GB", sums->memory_used_mb / 1024, sums->memory_mb / 1024);
}

static void draw_cache(struct pen *pen, const struct top_model *model) {
    const struct top_sums *sums = &model->sums;
    put(pen, TOP_DIM, " cache ");
    put(pen, TOP_PLAIN, "%lld/%lld entries  %.1f/%.0f MB", (long long)sums->entries,
        (long long)sums->max_entries, (double)sums->bytes / 1048576, (double)sums->max_bytes / 1048576);
    if (sums->hits >= 0) put(pen, TOP_PLAIN, "  %.1f %% hits", sums->hits);
    put(pen, TOP_DIM, "  lag ");
    if (model->kafka[0] || sums->workers == 0) {
        put(pen, TOP_PLAIN, "not known");
    } else {
        put(pen, sums->lag > 0 ? TOP_PENDING : TOP_PLAIN, "%lld", (long long)sums->lag);
        if (sums->lag > 0) put(pen, TOP_DIM, " (%s)", sums->lag_topic);
        put(pen, TOP_DIM, "  %d worker%s", sums->workers, plural(sums->workers));
    }
}

/* What is amiss, the worst first. False: nothing is. */
static bool draw_trouble(struct pen *pen, const struct top_model *model) {
    const json_t *first = json_array_get(model->rows[TOP_WARNINGS], 0);
    size_t count = json_array_size(model->rows[TOP_WARNINGS]);
    if (model->redis[0]) {
        put(pen, TOP_BAD, " ! %s%s", model->redis, model->has_pools ? " (old figures)" : "");
    } else if (model->kafka[0]) {
        put(pen, TOP_BAD, " ! %s", model->kafka);
    } else if (first) {
        put(pen, TOP_BAD, " ! %s: ", json_string_value(json_object_get(first, "code")));
        put(pen, TOP_PLAIN, "%s", json_string_value(json_object_get(first, "message")));
        if (count > 1) {
            char more[40];
            snprintf(more, sizeof more, " (%zu more: 6)", count - 1);
            int width = (int)strlen(more);
            (void)top_grid_text(pen->grid, pen->row, pen->grid->cols - width, width, TOP_DIM, wp_str(more));
        }
    }
    return pen->col > 0;
}

int top_header_draw(struct top_grid *grid, int rows, const struct top_model *model,
                    const struct top_about *about) {
    static void (*const lines[])(struct pen *, const struct top_model *) = {draw_requests, draw_containers,
                                                                            draw_cache};
    int row = 0;
    if (rows > row) draw_title(grid, row++, about);
    struct pen pen = {grid, row, 0};
    if (rows > row && draw_trouble(&pen, model)) row++;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0] && row < rows; i++) {
        pen = (struct pen){grid, row++, 0};
        lines[i](&pen, model);
    }
    return row;
}
