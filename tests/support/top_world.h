/* A model of `warmpool top` made from texts, and the text of a screen drawn from it. */
#ifndef TEST_SUPPORT_TOP_WORLD_H
#define TEST_SUPPORT_TOP_WORLD_H
#include "top/view.h"

/* JSON with ' for ". The caller owns it. */
json_t *top_json(const char *text);
/* What the public functions would say: a few pools (react in use, idle_one, full, bad), hosts, tenants, a
 * cache. */
void top_world_fill(struct top_model *model);
/* The screen as text, a row a line, blanks at the ends of rows left out. Valid until the next call. */
const char *top_drawn(const struct top_model *model, struct top_screen *screen, int rows, int cols);
/* The row of the screen that begins with a text (behind the mark of the chosen row); "": none. Of the screen
 * drawn last; valid until the next call of it. */
const char *top_line(const char *begin);

#endif
