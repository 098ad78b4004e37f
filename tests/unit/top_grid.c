/* What gets into the cells of a screen: nothing that could harm a terminal, and no more than fits. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "top/grid.h"

static struct wp_buf out;

/* The first row of a grid, after the text was written at a column. */
static const char *written(int cols, int col, int width, const char *text) {
    struct top_grid grid;
    top_grid_init(&grid, 1, cols);
    (void)top_grid_text(&grid, 0, col, width, TOP_PLAIN, wp_str(text));
    wp_buf_reset(&out);
    top_grid_row(&grid, 0, false, &out);
    wp_buf_add(&out, "", 1);
    top_grid_done(&grid);
    return out.data;
}

Test(top_grid, text_that_does_not_fit_ends_with_two_dots) {
    cr_expect_str_eq(written(20, 0, 10, "react"), "react");
    cr_expect_str_eq(written(20, 0, 5, "react"), "react");
    cr_expect_str_eq(written(20, 0, 4, "react"), "re..");
    cr_expect_str_eq(written(20, 2, 2, "react"), "  re", "no room for dots");
    cr_expect_str_eq(written(4, 2, 10, "react"), "  re", "cut at the edge of the grid");
    cr_expect_str_eq(written(4, 7, 10, "react"), "", "outside of the grid");
    cr_expect_str_eq(written(4, -2, 10, "react"), "act");
}

Test(top_grid, control_characters_become_question_marks) {
    cr_expect_str_eq(written(40, 0, 40, "a\033[2Jb\rc\nd\te\a"), "a?[2Jb?c?d?e?");
    cr_expect_str_eq(written(40, 0, 40,
                             "\xc2\x9b"
                             "31mred"),
                     "?31mred", "a control sequence in one character (C1)");
    cr_expect_str_eq(written(40, 0, 40, "\x7f"), "?");
}

Test(top_grid, bytes_that_are_no_utf8_and_marks_of_direction_become_question_marks) {
    cr_expect_str_eq(written(40, 0, 40,
                             "a\xff\xfe"
                             "b\xc3"),
                     "a??b?");
    cr_expect_str_eq(written(40, 0, 40, "abc\xe2\x80\xaetxt"), "abc?txt", "right to left");
    cr_expect_str_eq(written(40, 0, 40,
                             "a\xe2\x80\x8b"
                             "b"),
                     "a?b", "no width");
    cr_expect_str_eq(written(40, 0, 40, "e\xcc\x81"), "e?", "a mark that joins the character before");
    cr_expect_str_eq(written(40, 0, 40,
                             "a\xe2\x80\xa8"
                             "b"),
                     "a?b", "a separator of lines");
}

Test(top_grid, wide_characters_take_two_cells_and_are_never_cut_in_half) {
    cr_expect_eq(top_text_width(wp_str("\xe6\x97\xa5\xe6\x9c\xac")), 4);
    cr_expect_eq(top_text_width(wp_str("\xc3\xa9")), 1);
    cr_expect_str_eq(written(20, 0, 4, "\xe6\x97\xa5\xe6\x9c\xac"), "\xe6\x97\xa5\xe6\x9c\xac");
    cr_expect_str_eq(written(20, 0, 5, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"), "\xe6\x97\xa5..",
                     "three columns are room for one of them");
    cr_expect_str_eq(written(3, 2, 10, "\xe6\x97\xa5"), "", "half of it would be outside");
}

Test(top_grid, a_grid_has_bounds_and_prints_ascii_where_asked) {
    struct top_grid grid;
    top_grid_init(&grid, 0, 1000000);
    cr_expect_eq(grid.rows, 1);
    cr_expect_eq(grid.cols, TOP_SIDE_MOST);
    top_grid_right(&grid, 0, 0, 10, TOP_PLAIN, WP_STR("\xe6\x97\xa5z"));
    wp_buf_reset(&out);
    top_grid_row(&grid, 0, true, &out);
    wp_buf_add(&out, "", 1);
    cr_expect_str_eq(out.data, "       ??z", "it keeps its columns");
    top_grid_paint(&grid, 0, -5, 1000000000, TOP_BAD);
    top_grid_paint(&grid, 7, 0, 10, TOP_BAD);
    cr_expect_eq(grid.cells[0].style, TOP_BAD);
    cr_expect_eq(grid.cells[TOP_SIDE_MOST - 1].style, TOP_BAD);
    top_grid_done(&grid);
}
