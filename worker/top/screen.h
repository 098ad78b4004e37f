/* What the user has chosen to see, and how keys change it. Pure; one thread. */
#ifndef WP_TOP_SCREEN_H
#define WP_TOP_SCREEN_H
#include "top/keys.h"
#include "top/tables.h"

enum { TOP_FILTER = 64 };

struct top_choice { /* of one table */
    int sort;
    bool descending;
    char selected[TOP_NAME + 1]; /* its row's id; empty: the first one */
    char filter[TOP_FILTER + 1];
    int first; /* the first row that is shown; the view sets it */
};

struct top_screen {
    enum top_table page;     /* below TOP_PAGES */
    enum top_table tab;      /* of the opened pool: TOP_CONTAINERS or one behind it */
    char pool[TOP_NAME + 1]; /* that is opened; empty: none */
    struct top_choice choices[TOP_TABLES];
    bool help, typing; /* the help is shown; a filter is being typed */
    bool quit;
    int body; /* rows of the table on the screen; the view sets it */
};

void top_screen_init(struct top_screen *screen);
/* The table that the keys are about. */
enum top_table top_screen_table(const struct top_screen *screen);
/* The rows of a table as they are chosen, as top_rows_shown. */
const json_t **top_screen_rows(const struct top_screen *screen, const struct top_model *model,
                               enum top_table table, size_t *ret_count);
/* The number of the chosen row among them; 0 when it is not there. */
size_t top_screen_selected(const struct top_screen *screen, enum top_table table, const json_t *const *rows,
                           size_t count);
/* A key was pressed. Unknown ones change nothing. */
void top_screen_key(struct top_screen *screen, const struct top_model *model, uint32_t key);

#endif
