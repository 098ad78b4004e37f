/* Puts the parts of the screen together: see view.h. */
#include "top/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "top/table_view.h"

enum {
    SMALL_ROWS = 16, /* below that the header is two lines, and the pages are not named */
    PANEL_ROWS = 32, /* from there on other tables get half of the rows below the pools */
    HEADER_ROWS = 5,
    DETAIL_ROWS = 4,
    PANEL_LEAST = 3, /* of a panel: its name, its heading, and a row */
    PANEL_SHARE = 5, /* what a panel gets at least, if it has so many rows and there is room */
};

static void put(struct top_grid *grid, int row, int col, enum top_style style, const char *text) {
    (void)top_grid_text(grid, row, col, grid->cols - col, style, wp_str(text));
}

/* ---- the names of the pages ---- */

static int draw_tab(struct top_grid *grid, int row, int col, int key, const char *name, size_t count,
                    bool is) {
    char text[TOP_NAME + 40];
    snprintf(text, sizeof text, " %d %s:%zu ", key, name, count);
    if (col >= grid->cols) return col;
    return col + top_grid_text(grid, row, col, grid->cols - col, is ? TOP_SELECTED : TOP_DIM, wp_str(text));
}

static void draw_tabs(struct top_grid *grid, int row, const struct top_model *model,
                      const struct top_screen *screen) {
    enum top_table first = screen->pool[0] ? TOP_CONTAINERS : TOP_POOLS,
                   end = screen->pool[0] ? TOP_TABLES : TOP_PAGES, now = top_screen_table(screen);
    int col = 0;
    for (enum top_table each = first; each < end; each++)
        col = draw_tab(grid, row, col, (int)(each - first) + 1, top_tables[each].name,
                       json_array_size(model->rows[each]), each == now);
    if (model->more_containers && screen->pool[0]) put(grid, row, col, TOP_DIM, " there are more containers");
}

/* ---- an opened pool ---- */

static const json_t *find_pool(const struct top_model *model, const char *name) {
    const json_t *row;
    size_t i;
    json_array_foreach(model->rows[TOP_POOLS], i, row) {
        if (strncmp(json_string_value(json_object_get(row, "name")), name, TOP_NAME) == 0) return row;
    }
    return NULL;
}

static long long count_of(const json_t *pool, const char *name) {
    return (long long)json_number_value(json_object_get(pool, name));
}

static int draw_pool(struct top_grid *grid, int row, int rows, const struct top_model *model,
                     const struct top_screen *screen) {
    char text[TOP_NAME + 600];
    const json_t *pool = find_pool(model, screen->pool);
    const char *unavailable = json_string_value(json_object_get(pool, "unavailable"));
    bool draining = json_is_true(json_object_get(pool, "draining"));
    if (pool)
        snprintf(text, sizeof text, " pool %s: %lld idle  %lld leased  %lld making  %lld waiting%s",
                 screen->pool, count_of(pool, "available"), count_of(pool, "leased"),
                 count_of(pool, "creating"), count_of(pool, "waiting"), draining ? "  draining" : "");
    else
        snprintf(text, sizeof text, " pool %s: it is not there%s", screen->pool,
                 model->has_pools ? " any more" : " yet");
    put(grid, row, 0, TOP_STRONG, text);
    if (rows < 2 || !unavailable || !*unavailable) return 1;
    snprintf(text, sizeof text, " unavailable: %s", unavailable);
    put(grid, row + 1, 0, TOP_BAD, text);
    return 2;
}

/* ---- the chosen row in full ---- */

/* Where to break a line of at most `width` bytes: behind a blank, where there is one. */
static size_t line_length(const char *text, size_t width) {
    size_t length = strlen(text);
    if (length <= width) return length;
    size_t at = width;
    while (at > width / 2 && text[at] != ' ') at--;
    if (text[at] == ' ') return at + 1;
    while (width > 1 && ((unsigned char)text[width] & 0xc0) == 0x80) width--;
    return width;
}

static int draw_wrapped(struct top_grid *grid, int row, int rows, enum top_style style, const char *text) {
    int line = 0;
    size_t width = grid->cols > 2 ? (size_t)grid->cols - 2 : 1;
    for (; line < rows && *text; line++) {
        size_t length = line_length(text, width);
        (void)top_grid_text(grid, row + line, 1, grid->cols - 1, style, (struct wp_str){text, length});
        text += length;
    }
    return line;
}

static const char *detail_of(const json_t *row, const char *field) {
    const char *text = row && field ? json_string_value(json_object_get(row, field)) : NULL;
    return text ? text : "";
}

/* Draws it in the last of the `rows` rows from `row` on. Returns how many it took. */
static int draw_detail(struct top_grid *grid, int row, int rows, const struct top_model *model,
                       const struct top_screen *screen) {
    enum top_table table = top_screen_table(screen);
    size_t count;
    if (rows < 2 * DETAIL_ROWS) return 0;
    const json_t **shown = top_screen_rows(screen, model, table, &count);
    const json_t *chosen = count > 0 ? shown[top_screen_selected(screen, table, shown, count)] : NULL;
    const char *first = detail_of(chosen, top_tables[table].detail),
               *second = detail_of(chosen, top_tables[table].detail2);
    int at = row + rows - DETAIL_ROWS, taken = *first || *second ? DETAIL_ROWS : 0;
    if (taken > 0) {
        int used = draw_wrapped(grid, at + 1, *second ? 2 : 3, TOP_STRONG, first);
        (void)draw_wrapped(grid, at + 1 + used, DETAIL_ROWS - 1 - used, TOP_PLAIN, second);
    }
    free(shown);
    return taken;
}

/* ---- other tables below the pools ---- */

static int rows_wanted(const struct top_model *model, enum top_table table) {
    int rows = (int)json_array_size(model->rows[table]);
    return PANEL_LEAST + (rows > 1 ? rows - 1 : 0);
}

/* What the pools leave of the rows; on a tall screen at least half of them. */
static int room_for_panels(const struct top_grid *grid, int rows, const struct top_model *model) {
    int left = rows - 2 - (int)json_array_size(model->rows[TOP_POOLS]);
    int least = grid->rows >= PANEL_ROWS ? rows / 2 : 0;
    return left > least ? left : least;
}

/* Shares the room out: each table that has rows gets what it wants, up to a share, and then in turn what is
 * left. */
static int share_room(const struct top_model *model, int room, int *heights) {
    int taken = 0, share = room / TOP_PAGES > PANEL_SHARE ? room / TOP_PAGES : PANEL_SHARE;
    for (enum top_table each = TOP_HOSTS; each < TOP_PAGES; each++) {
        int wanted = rows_wanted(model, each);
        if (wanted > share) wanted = share;
        if (wanted > room - taken) wanted = room - taken;
        heights[each] = json_array_size(model->rows[each]) > 0 && wanted >= PANEL_LEAST ? wanted : 0;
        taken += heights[each];
    }
    for (enum top_table each = TOP_HOSTS; each < TOP_PAGES; each++) {
        int more = heights[each] > 0 ? rows_wanted(model, each) - heights[each] : 0;
        if (more > room - taken) more = room - taken;
        heights[each] += more;
        taken += more;
    }
    return taken;
}

/* Draws panels at the end of the `rows` rows from `row` on. Returns how many they took. */
static int draw_panels(struct top_grid *grid, int row, int rows, const struct top_model *model,
                       struct top_screen *screen) {
    int heights[TOP_PAGES] = {0}, taken = share_room(model, room_for_panels(grid, rows, model), heights);
    int at = row + rows - taken;
    for (enum top_table each = TOP_HOSTS; each < TOP_PAGES; each++) {
        if (heights[each] == 0) continue;
        (void)draw_tab(grid, at, 0, (int)each + 1, top_tables[each].name, json_array_size(model->rows[each]),
                       false);
        top_table_draw(grid, at + 1, heights[each] - 1, model, screen, each, false);
        at += heights[each];
    }
    return taken;
}

/* ---- the last line ---- */

static void draw_footer(struct top_grid *grid, int row, const struct top_screen *screen) {
    const char *filter = screen->choices[top_screen_table(screen)].filter;
    char text[200];
    if (screen->typing)
        snprintf(text, sizeof text, " filter: %s_   (Enter: keep it, Esc: none)", filter);
    else if (filter[0])
        snprintf(text, sizeof text,
                 " filtered by \"%s\"   Esc shows all   / another filter   ? help   q quit", filter);
    else if (screen->pool[0])
        snprintf(text, sizeof text,
                 " Esc back   Tab next list   / filter   s sort   r reverse   ? help   q quit");
    else
        snprintf(text, sizeof text,
                 " Enter open   Tab next page   / filter   s sort   r reverse   ? help   q quit");
    put(grid, row, 0, TOP_TITLE, text);
    top_grid_paint(grid, row, 0, grid->cols, TOP_TITLE);
}

/* ---- the help ---- */

static void draw_help(struct top_grid *grid, int row, int rows) {
    static const char *const lines[] = {
        "up, down, k, j     choose a row        PgUp, PgDn, Home, End   go further",
        "Enter              open the chosen pool: its containers and leases, its waiting",
        "                   requests, and why requests were rejected, lost or cold lately",
        "Esc                back: end the filter, close the pool",
        "Tab, left, right   the next page, the one before; 1 to 6: that page",
        "s, < and >         sort by the next column, or the one before; r: reverse",
        "/                  show only rows with a text; Enter keeps it, Esc ends it",
        "q, Ctrl-C          quit",
        "",
        "Bars:  # leased  = idle  ~ paused  + being made  * being cleaned, of the most",
        "       that the pool may have (pool.max_containers)",
        "!  in front: a pool is draining or its creates keep failing, a host is not up",
        "READY  idle ones that any request could get      /MIN  requests a minute",
        "WARM%, REJECTED, LOST  of the last minute        OLDEST  the longest wait",
        "",
        "Figures come from Redis; the lag of workers and warnings from their records on",
        "the metrics topic, one every metrics.interval.",
    };
    for (int i = 0; i < rows && i < (int)(sizeof lines / sizeof lines[0]); i++)
        put(grid, row + i, 1, TOP_PLAIN, lines[i]);
}

/* ---- the whole ---- */

static void draw_body(struct top_grid *grid, int row, int rows, const struct top_model *model,
                      struct top_screen *screen) {
    int at = row;
    if (rows < 1) return;
    if (grid->rows >= SMALL_ROWS) draw_tabs(grid, at++, model, screen);
    if (screen->pool[0]) at += draw_pool(grid, at, row + rows - at - 2, model, screen);
    int left = row + rows - at;
    bool panels = !screen->pool[0] && screen->page == TOP_POOLS && grid->rows >= SMALL_ROWS;
    left -= panels ? draw_panels(grid, at, left, model, screen) : draw_detail(grid, at, left, model, screen);
    screen->body = left > 1 ? left - 1 : 1;
    top_table_draw(grid, at, left, model, screen, top_screen_table(screen), true);
}

void top_view_draw(struct top_grid *grid, const struct top_model *model, struct top_screen *screen,
                   const struct top_about *about) {
    int header = grid->rows >= SMALL_ROWS ? HEADER_ROWS : grid->rows >= 6 ? 2 : 1;
    int row = top_header_draw(grid, header, model, about), last = grid->rows - 1;
    if (screen->help)
        draw_help(grid, row, last - row);
    else
        draw_body(grid, row, last - row, model, screen);
    if (last > 0) draw_footer(grid, last, screen);
}

void top_view_print(struct top_grid *grid, int cols, const struct top_model *model,
                    const struct top_about *about) {
    struct top_screen screen;
    int rows = HEADER_ROWS + 1;
    top_screen_init(&screen);
    for (enum top_table each = TOP_POOLS; each < TOP_PAGES; each++) rows += rows_wanted(model, each) + 1;
    top_grid_init(grid, rows, cols);
    int row = top_header_draw(grid, HEADER_ROWS, model, about);
    for (enum top_table each = TOP_POOLS; each < TOP_PAGES; each++) {
        int height = rows_wanted(model, each);
        put(grid, ++row, 0, TOP_DIM, top_tables[each].name);
        top_table_draw(grid, row + 1, height - 1, model, &screen, each, false);
        row += height;
    }
}
