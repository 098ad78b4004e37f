/* Keys and what they change: see screen.h. */
#include "top/screen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/str.h"

void top_screen_init(struct top_screen *screen) {
    *screen = (struct top_screen){.page = TOP_POOLS, .tab = TOP_CONTAINERS, .body = 1};
    for (int i = 0; i < TOP_TABLES; i++) {
        screen->choices[i].sort = top_tables[i].sort;
        screen->choices[i].descending = top_tables[i].descending;
    }
}

enum top_table top_screen_table(const struct top_screen *screen) {
    return screen->pool[0] ? screen->tab : screen->page;
}

const json_t **top_screen_rows(const struct top_screen *screen, const struct top_model *model,
                               enum top_table table, size_t *ret_count) {
    const struct top_choice *choice = &screen->choices[table];
    return top_rows_shown(model->rows[table], table, choice->sort, choice->descending, choice->filter,
                          ret_count);
}

static const char *id_of(const json_t *row, enum top_table table) {
    const char *id = json_string_value(json_object_get(row, top_tables[table].id));
    return id ? id : "";
}

size_t top_screen_selected(const struct top_screen *screen, enum top_table table, const json_t *const *rows,
                           size_t count) {
    const char *selected = screen->choices[table].selected;
    for (size_t i = 0; i < count && selected[0]; i++) {
        if (strncmp(id_of(rows[i], table), selected, TOP_NAME) == 0) return i;
    }
    return 0;
}

/* ---- choosing a row ---- */

static void select_row(struct top_screen *screen, enum top_table table, const json_t *row) {
    char *selected = screen->choices[table].selected;
    snprintf(selected, TOP_NAME + 1, "%s", id_of(row, table));
}

static void move_by(struct top_screen *screen, const struct top_model *model, long by) {
    enum top_table table = top_screen_table(screen);
    size_t count;
    const json_t **rows = top_screen_rows(screen, model, table, &count);
    long to = (long)top_screen_selected(screen, table, rows, count) + by;
    if (to >= (long)count) to = (long)count - 1;
    if (count > 0) select_row(screen, table, rows[to > 0 ? to : 0]);
    free(rows);
}

/* Opens the chosen pool. */
static void open_row(struct top_screen *screen, const struct top_model *model) {
    size_t count;
    if (screen->pool[0] || screen->page != TOP_POOLS) return;
    const json_t **rows = top_screen_rows(screen, model, TOP_POOLS, &count);
    if (count > 0) {
        const json_t *row = rows[top_screen_selected(screen, TOP_POOLS, rows, count)];
        select_row(screen, TOP_POOLS, row);
        snprintf(screen->pool, sizeof screen->pool, "%s", id_of(row, TOP_POOLS));
        screen->tab = TOP_CONTAINERS;
        for (int i = TOP_CONTAINERS; i < TOP_TABLES; i++)
            screen->choices[i].selected[0] = screen->choices[i].filter[0] = '\0';
    }
    free(rows);
}

/* ---- pages ---- */

static void turn(struct top_screen *screen, int by) {
    if (screen->pool[0]) {
        int tabs = TOP_TABLES - TOP_CONTAINERS;
        int at = ((int)screen->tab - TOP_CONTAINERS + by + tabs) % tabs;
        screen->tab = (enum top_table)(TOP_CONTAINERS + at);
    } else {
        screen->page = (enum top_table)(((int)screen->page + by + TOP_PAGES) % TOP_PAGES);
    }
}

static void go_to(struct top_screen *screen, int number) {
    int last = screen->pool[0] ? TOP_TABLES - TOP_CONTAINERS : TOP_PAGES;
    if (number >= last) return;
    if (screen->pool[0])
        screen->tab = (enum top_table)(TOP_CONTAINERS + number);
    else
        screen->page = (enum top_table)number;
}

/* One step back: the help, the filter, the pool. */
static void go_back(struct top_screen *screen) {
    char *filter = screen->choices[top_screen_table(screen)].filter;
    if (screen->help)
        screen->help = false;
    else if (filter[0])
        filter[0] = '\0';
    else
        screen->pool[0] = '\0';
}

/* ---- sorting ---- */

static void sort_by_next(struct top_screen *screen, int by) {
    enum top_table table = top_screen_table(screen);
    struct top_choice *choice = &screen->choices[table];
    int count = top_column_count(table);
    choice->sort = (choice->sort + by + count) % count;
    choice->descending = !top_column_is_text(&top_tables[table].columns[choice->sort]);
}

static void reverse(struct top_screen *screen) {
    struct top_choice *choice = &screen->choices[top_screen_table(screen)];
    choice->descending = !choice->descending;
}

/* ---- typing a filter ---- */

/* Filters are compared byte by byte; names are ASCII, so other characters are not taken. */
static void type(struct top_screen *screen, uint32_t key) {
    char *filter = screen->choices[top_screen_table(screen)].filter;
    size_t length = strlen(filter);
    if (key == TOP_KEY_ENTER) {
        screen->typing = false;
    } else if (key == TOP_KEY_ESCAPE) {
        screen->typing = false;
        filter[0] = '\0';
    } else if (key == TOP_KEY_BACK || key == 8) {
        if (length > 0) filter[length - 1] = '\0';
    } else if (key >= 0x20 && key < 0x7f && length < TOP_FILTER) {
        filter[length] = (char)key;
        filter[length + 1] = '\0';
    }
}

/* ---- keys ---- */

/* Keys that move in a table. False: it is none. */
static bool move_key(struct top_screen *screen, const struct top_model *model, uint32_t key) {
    static const long far = 1000000;
    long page = screen->body > 1 ? screen->body - 1 : 1;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        move_by(screen, model, -1);
        return true;
    case TOP_KEY_DOWN:
    case 'j':
        move_by(screen, model, 1);
        return true;
    case TOP_KEY_PAGE_UP:
        move_by(screen, model, -page);
        return true;
    case TOP_KEY_PAGE_DOWN:
    case ' ':
        move_by(screen, model, page);
        return true;
    case TOP_KEY_HOME:
    case 'g':
        move_by(screen, model, -far);
        return true;
    case TOP_KEY_END:
    case 'G':
        move_by(screen, model, far);
        return true;
    default:
        return false;
    }
}

static void command_key(struct top_screen *screen, const struct top_model *model, uint32_t key) {
    switch (key) {
    case 'q':
        screen->quit = true;
        break;
    case '?':
    case 'h':
        screen->help = true;
        break;
    case '/':
        screen->typing = true;
        break;
    case 's':
    case '>':
        sort_by_next(screen, 1);
        break;
    case '<':
        sort_by_next(screen, -1);
        break;
    case 'r':
        reverse(screen);
        break;
    case TOP_KEY_ENTER:
        open_row(screen, model);
        break;
    case TOP_KEY_ESCAPE:
    case TOP_KEY_BACK:
        go_back(screen);
        break;
    case TOP_KEY_TAB:
    case TOP_KEY_RIGHT:
        turn(screen, 1);
        break;
    case TOP_KEY_LEFT:
        turn(screen, -1);
        break;
    default:
        if (key >= '1' && key <= '9') go_to(screen, (int)(key - '1'));
    }
}

void top_screen_key(struct top_screen *screen, const struct top_model *model, uint32_t key) {
    if (key == '\r') key = TOP_KEY_ENTER;
    if (screen->help) { /* any key ends it */
        screen->help = false;
        if (key == 'q') screen->quit = true;
    } else if (screen->typing) {
        type(screen, key);
    } else if (!move_key(screen, model, key)) {
        command_key(screen, model, key);
    }
}
