/* Draws one table: its heading and as many rows as there is room for. Pure; one thread. */
#ifndef WP_TOP_TABLE_VIEW_H
#define WP_TOP_TABLE_VIEW_H
#include "top/grid.h"
#include "top/screen.h"

/* Draws the table from `row` on, in `rows` rows, the heading among them. chosen: the chosen row is marked,
 * and seen to be on the screen. */
void top_table_draw(struct top_grid *grid, int row, int rows, const struct top_model *model,
                    struct top_screen *screen, enum top_table table, bool chosen);

#endif
