/* Draws what is known, as the user has chosen to see it, into a grid. Pure; one thread. */
#ifndef WP_TOP_VIEW_H
#define WP_TOP_VIEW_H
#include "top/header.h"
#include "top/screen.h"

/* Draws the whole grid, which is blank. Sets what the view sets in *screen. */
void top_view_draw(struct top_grid *grid, const struct top_model *model, struct top_screen *screen,
                   const struct top_about *about);
/* Draws all tables one below the other, each as long as it is, for a pipe. Makes *grid, `cols` wide, which
 * the caller ends (top_grid_done). */
void top_view_print(struct top_grid *grid, int cols, const struct top_model *model,
                    const struct top_about *about);

#endif
