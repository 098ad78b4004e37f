/* Draws tables: chooses the columns for which there is room, and the rows. See table_view.h. */
#include "top/table_view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MOST = 16, MARK = 1 /* the column of the marks: > the chosen row, ! something is amiss */ };

struct layout {
    int widths[COLUMNS_MOST]; /* 0: not shown */
    int count;
};

/* ---- columns ---- */

static int total_width(const struct layout *layout) {
    int all = 0;
    for (int i = 0; i < layout->count; i++)
        if (layout->widths[i] > 0) all += layout->widths[i] + 1;
    return all;
}

/* The shown column with the highest rank; -1: only one is left. */
static int least_wanted(const struct layout *layout, const struct top_column *columns) {
    int found = -1, shown = 0;
    for (int i = 0; i < layout->count; i++) {
        if (layout->widths[i] == 0) continue;
        shown++;
        if (found < 0 || columns[i].rank > columns[found].rank) found = i;
    }
    return shown > 1 ? found : -1;
}

/* Gives what is left over to the columns that may grow, one by one. */
static void grow(struct layout *layout, const struct top_column *columns, int room) {
    bool grew = true;
    while (room > 0 && grew) {
        grew = false;
        for (int i = 0; i < layout->count && room > 0; i++) {
            if (layout->widths[i] == 0 || layout->widths[i] >= columns[i].most) continue;
            layout->widths[i]++;
            room--;
            grew = true;
        }
    }
}

static struct layout layout_of(enum top_table table, int cols) {
    const struct top_column *columns = top_tables[table].columns;
    struct layout layout = {.count = top_column_count(table)};
    wp_assert(layout.count <= COLUMNS_MOST);
    for (int i = 0; i < layout.count; i++) layout.widths[i] = columns[i].width;
    int least;
    while (total_width(&layout) > cols && (least = least_wanted(&layout, columns)) >= 0)
        layout.widths[least] = 0;
    grow(&layout, columns, cols - total_width(&layout));
    return layout;
}

/* ---- the bar of a pool ---- */

struct part {
    char mark;
    enum top_style style;
    double count;
};

static double number(const json_t *row, const char *name) {
    return json_number_value(json_object_get(row, name));
}

/* How many of `width` cells the parts up to this sum take. A part that is there is seen. */
static int cells_of(double sum, double most, int width, int before, double count) {
    int to = (int)(sum / most * width + 0.5);
    if (count > 0 && to <= before) to = before + 1;
    return to > width ? width : to;
}

static void draw_parts(struct top_grid *grid, int row, int col, int width, const struct part *parts,
                       double most) {
    double sum = 0;
    int at = 0;
    for (; parts->mark; parts++) {
        sum += parts->count;
        int to = cells_of(sum, most, width, at, parts->count);
        for (; at < to; at++)
            (void)top_grid_text(grid, row, col + at, 1, parts->style, (struct wp_str){&parts->mark, 1});
    }
}

/* "[###===~+   ]  12/40": leased, idle, paused, being made, being cleaned, of the most that there may be. */
static void draw_bar(struct top_grid *grid, int row, int col, int width, const json_t *pool) {
    double paused = number(pool, "paused"), all = number(pool, "all"), most = number(pool, "max_containers");
    const struct part parts[] = {{'#', TOP_BUSY, number(pool, "leased")},
                                 {'=', TOP_GOOD, number(pool, "available") - paused},
                                 {'~', TOP_DIM, paused},
                                 {'+', TOP_PENDING, number(pool, "creating")},
                                 {'*', TOP_PENDING, number(pool, "resetting")},
                                 {0}};
    double scale = most > 0 ? most : number(pool, "pool_size");
    if (scale < all) scale = all;
    if (scale < 1) scale = 1;
    char text[32];
    snprintf(text, sizeof text, most > 0 ? "%.0f/%.0f" : "%.0f", all, most);
    int room = width - 8;
    (void)top_grid_text(grid, row, col, 1, TOP_DIM, WP_STR("["));
    draw_parts(grid, row, col + 1, room - 1, parts, scale);
    (void)top_grid_text(grid, row, col + room, 1, TOP_DIM, WP_STR("]"));
    top_grid_right(grid, row, col + room + 1, 7, TOP_PLAIN, wp_str(text));
}

/* ---- cells ---- */

static enum top_style style_of_state(const char *text) {
    static const struct {
        const char *word;
        enum top_style style;
    } words[] = {{"up", TOP_GOOD},           {"idle", TOP_GOOD},        {"ready", TOP_GOOD},
                 {"leased", TOP_BUSY},       {"binding", TOP_BUSY},     {"creating", TOP_PENDING},
                 {"resetting", TOP_PENDING}, {"draining", TOP_PENDING}, {"cold", TOP_PENDING},
                 {"silent", TOP_BAD},        {"away", TOP_BAD},         {"down", TOP_BAD},
                 {"gone", TOP_BAD},          {"rejected", TOP_BAD},     {"lost", TOP_BAD},
                 {"no kafka", TOP_BAD},      {"no redis", TOP_BAD},     {"no kafka, redis", TOP_BAD}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].word, text) == 0) return words[i].style;
    return TOP_PLAIN;
}

static enum top_style style_of(const struct top_column *column, const json_t *row, const char *text) {
    if (column->kind == TOP_TEXT) return style_of_state(text);
    if (column->bad_above_zero && number(row, column->key) > 0) return TOP_BAD;
    if (column->limit && number(row, column->limit) > 0 &&
        number(row, column->key) >= number(row, column->limit))
        return TOP_PENDING;
    return TOP_PLAIN;
}

static void draw_cell(struct top_grid *grid, int row, int col, int width, const struct top_column *column,
                      const json_t *of, int64_t now_ms) {
    char text[2048];
    if (column->kind == TOP_BAR && width > 10) {
        draw_bar(grid, row, col, width, of);
        return;
    }
    top_column_text(column, of, now_ms, text, sizeof text);
    enum top_style style = style_of(column, of, text);
    if (top_column_is_text(column))
        (void)top_grid_text(grid, row, col, width, style, wp_str(text));
    else
        top_grid_right(grid, row, col, width, style, wp_str(text));
}

static void draw_row(struct top_grid *grid, int row, const struct layout *layout,
                     const struct top_column *columns, const json_t *of, int64_t now_ms) {
    for (int i = 0, col = MARK; i < layout->count; i++) {
        if (layout->widths[i] == 0) continue;
        draw_cell(grid, row, col, layout->widths[i], &columns[i], of, now_ms);
        col += layout->widths[i] + 1;
    }
}

/* The column by which the table is sorted has a mark: v from the largest, ^ from the smallest. */
static void draw_heading(struct top_grid *grid, int row, const struct layout *layout,
                         const struct top_column *columns, const struct top_choice *choice) {
    char text[40];
    top_grid_paint(grid, row, 0, grid->cols, TOP_HEADING);
    for (int i = 0, col = MARK; i < layout->count; i++) {
        if (layout->widths[i] == 0) continue;
        snprintf(text, sizeof text, "%s%s", columns[i].title,
                 i != choice->sort    ? ""
                 : choice->descending ? "v"
                                      : "^");
        int more = (int)strlen(text) > layout->widths[i] && i == choice->sort ? 1 : 0; /* into the gap */
        if (top_column_is_text(&columns[i]) || columns[i].kind == TOP_BAR)
            (void)top_grid_text(grid, row, col, layout->widths[i] + more, TOP_HEADING, wp_str(text));
        else
            top_grid_right(grid, row, col - 0, layout->widths[i] + more, TOP_HEADING, wp_str(text));
        col += layout->widths[i] + 1;
    }
}

/* ---- the table ---- */

/* Moves the first row that is shown so that the chosen one is on the screen. */
static void scroll_to(struct top_choice *choice, size_t selected, size_t count, int room) {
    int chosen = (int)selected, all = (int)count;
    if (choice->first > all - room) choice->first = all - room;
    if (choice->first < 0) choice->first = 0;
    if (chosen < choice->first) choice->first = chosen;
    if (room > 0 && chosen >= choice->first + room) choice->first = chosen - room + 1;
}

static const char *empty_words(const struct top_model *model, enum top_table table, const char *filter) {
    if (filter[0] && json_array_size(model->rows[table]) > 0)
        return "no row has the text of the filter; Esc ends it";
    if (table <= TOP_TENANTS && !model->has_pools) return "waiting for Redis";
    return top_tables[table].nothing;
}

/* Puts the rows that are amiss first, for a table of which only the first rows are seen. */
static void amiss_first(const json_t **rows, size_t count) {
    size_t to = 0;
    for (size_t i = 0; i < count; i++) {
        if (!json_is_true(json_object_get(rows[i], "amiss"))) continue;
        const json_t *row = rows[i];
        memmove(&rows[to + 1], &rows[to], (i - to) * sizeof *rows);
        rows[to++] = row;
    }
}

void top_table_draw(struct top_grid *grid, int row, int rows, const struct top_model *model,
                    struct top_screen *screen, enum top_table table, bool chosen) {
    const struct top_column *columns = top_tables[table].columns;
    struct top_choice *choice = &screen->choices[table];
    struct layout layout = layout_of(table, grid->cols - MARK);
    int room = rows - 1;
    size_t count;
    if (rows < 1) return;
    draw_heading(grid, row, &layout, columns, choice);
    const json_t **shown = top_screen_rows(screen, model, table, &count);
    size_t selected = top_screen_selected(screen, table, shown, count);
    if (chosen) scroll_to(choice, selected, count, room);
    if (!chosen && (int)count > room) amiss_first(shown, count);
    size_t first = chosen ? (size_t)choice->first : 0;
    for (int i = 0; i < room && first + (size_t)i < count; i++) {
        bool is_chosen = chosen && first + (size_t)i == selected;
        draw_row(grid, row + 1 + i, &layout, columns, shown[first + (size_t)i], model->now_ms);
        if (json_is_true(json_object_get(shown[first + (size_t)i], "amiss")))
            (void)top_grid_text(grid, row + 1 + i, 0, 1, TOP_BAD, WP_STR("!"));
        if (is_chosen) (void)top_grid_text(grid, row + 1 + i, 0, 1, TOP_SELECTED, WP_STR(">"));
        if (is_chosen) top_grid_paint(grid, row + 1 + i, 0, grid->cols, TOP_SELECTED);
    }
    if (count == 0 && room > 0)
        (void)top_grid_text(grid, row + 1, MARK, grid->cols - MARK, TOP_DIM,
                            wp_str(empty_words(model, table, choice->filter)));
    free(shown);
}
