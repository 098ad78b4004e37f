/* A screen as a grid of cells: what the view draws and the terminal shows. Text becomes harmless here: no
 * control character, no half of a character, no mark that changes the direction of what follows gets into a
 * cell. Pure; any thread, each grid in one. */
#ifndef WP_TOP_GRID_H
#define WP_TOP_GRID_H
#include <stdint.h>
#include <stdio.h>
#include "core/buf.h"

/* What a cell means; the terminal decides how it looks. Without colours they are bold, underlined, reversed
 * or plain. */
enum top_style {
    TOP_PLAIN,
    TOP_DIM,      /* labels */
    TOP_STRONG,   /* figures of note */
    TOP_GOOD,     /* idle, up */
    TOP_BUSY,     /* leased */
    TOP_PENDING,  /* creating, waiting, draining */
    TOP_BAD,      /* warnings, silent hosts, what is rejected */
    TOP_TITLE,    /* the bars at the top and the bottom */
    TOP_HEADING,  /* of a table */
    TOP_SELECTED, /* the row, or the page, that is chosen */
    TOP_STYLES,
};

struct top_cell {
    uint32_t text; /* code point; 0: the right half of the wide character before it */
    uint8_t style;
};

struct top_grid {
    int rows, cols;
    struct top_cell *cells; /* owned; row by row */
};

enum { TOP_SIDE_MOST = 1000, TOP_ROWS_MOST = 20000 }; /* a side of a screen; rows of a page that is printed */

/* Sizes are cut to 1 to TOP_SIDE_MOST columns and 1 to TOP_ROWS_MOST rows. All cells are blank. */
void top_grid_init(struct top_grid *grid, int rows, int cols);
void top_grid_done(struct top_grid *grid);
/* Writes text from (row, col) on, at most `width` columns; what does not fit ends with a dot-dot ("…" as two
 * dots). Whatever lies outside of the grid is left out. Returns the columns that were written. */
int top_grid_text(struct top_grid *grid, int row, int col, int width, enum top_style style,
                  struct wp_str text);
/* The same, at the right edge of the `width` columns. */
void top_grid_right(struct top_grid *grid, int row, int col, int width, enum top_style style,
                    struct wp_str text);
/* Gives `width` cells a style, and leaves their text. */
void top_grid_paint(struct top_grid *grid, int row, int col, int width, enum top_style style);
/* The columns that the text takes. */
int top_text_width(struct wp_str text);
/* Appends a row as UTF-8, without the blanks at its end. ascii: other characters become '?'. */
void top_grid_row(const struct top_grid *grid, int row, bool ascii, struct wp_buf *out);

#endif
