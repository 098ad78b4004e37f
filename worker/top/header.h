/* Draws the sums above the tables. Pure; one thread. */
#ifndef WP_TOP_HEADER_H
#define WP_TOP_HEADER_H
#include "top/grid.h"
#include "top/model.h"

struct top_about {     /* what the first line says beside the figures */
    const char *where; /* "redis://localhost:6379 wp" */
    const char *clock; /* "16:30:05" */
    double interval_s; /* 0: it is not drawn again */
};

/* Draws up to `rows` lines from the top: the first ones matter most. Returns how many it drew; a line about
 * what is amiss is only there when something is. */
int top_header_draw(struct top_grid *grid, int rows, const struct top_model *model,
                    const struct top_about *about);

#endif
