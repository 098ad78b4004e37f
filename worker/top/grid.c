/* The grid of cells, and what of a text gets into it: see grid.h. */
#include "top/grid.h"
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>

enum { UNKNOWN = '?', BLANK = ' ' };

static int within(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

void top_grid_init(struct top_grid *grid, int rows, int cols) {
    grid->rows = within(rows, 1, TOP_ROWS_MOST);
    grid->cols = within(cols, 1, TOP_SIDE_MOST);
    size_t count = (size_t)grid->rows * (size_t)grid->cols;
    grid->cells = wp_calloc(count, sizeof *grid->cells);
    for (size_t i = 0; i < count; i++) grid->cells[i].text = BLANK;
}

void top_grid_done(struct top_grid *grid) {
    free(grid->cells);
    *grid = (struct top_grid){0};
}

/* ---- characters ---- */

static uint32_t decode(const char *text, size_t bytes) {
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)text[0] & first_bits[bytes];
    for (size_t i = 1; i < bytes; i++) code = code << 6 | ((unsigned char)text[i] & 0x3f);
    return code;
}

/* The width in a UTF-8 terminal, whatever this process' locale is. Below 0: it must not be shown. */
static int width_of(uint32_t code) {
    static locale_t utf8;
    if (code >= 0x20 && code < 0x7f) return 1;
    if (code < 0xa0) return -1;
    if (!utf8) utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!utf8) return -1;
    locale_t before = uselocale(utf8);
    int width = wcwidth((wchar_t)code);
    uselocale(before);
    return width;
}

/* Marks of direction, and separators of lines and paragraphs: they would change what is beside them. */
static bool is_mark(uint32_t code) {
    return code == 0xad || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff0 && code <= 0xfffb) || code >= 0xe0000;
}

/* Takes the next character off *text. Returns the code point to show, and its width. A character that cannot
 * stand alone in a cell (a combining one, say) is shown as '?', too. */
static uint32_t next_char(struct wp_str *text, int *ret_width) {
    size_t bytes = wp_str_char(*text);
    uint32_t code = bytes > 0 ? decode(text->ptr, bytes) : 0;
    size_t taken = bytes > 0 ? bytes : 1;
    text->ptr += taken;
    text->len -= taken;
    int width = bytes == 0 || is_mark(code) ? -1 : width_of(code);
    *ret_width = width > 0 ? width : 1;
    return width > 0 ? code : UNKNOWN;
}

int top_text_width(struct wp_str text) {
    int all = 0, width;
    while (text.len > 0) {
        (void)next_char(&text, &width);
        all += width;
    }
    return all;
}

/* ---- writing ---- */

static void put(struct top_grid *grid, int row, int col, uint32_t code, enum top_style style) {
    if (row < 0 || row >= grid->rows || col < 0 || col >= grid->cols) return;
    grid->cells[(size_t)row * (size_t)grid->cols + (size_t)col] = (struct top_cell){code, (uint8_t)style};
}

/* A wide character that would be cut by the grid's edge becomes a blank. */
static void put_wide(struct top_grid *grid, int row, int col, uint32_t code, enum top_style style) {
    bool fits = col >= 0 && col + 1 < grid->cols;
    put(grid, row, col, fits ? code : BLANK, style);
    put(grid, row, col + 1, fits ? 0 : BLANK, style);
}

int top_grid_text(struct top_grid *grid, int row, int col, int width, enum top_style style,
                  struct wp_str text) {
    bool cut = top_text_width(text) > width;
    int room = cut && width > 2 ? width - 2 : width, at = 0, each;
    while (text.len > 0) {
        uint32_t code = next_char(&text, &each);
        if (at + each > room) break;
        if (each == 2)
            put_wide(grid, row, col + at, code, style);
        else
            put(grid, row, col + at, code, style);
        at += each;
    }
    for (int dots = 0; cut && width > 2 && dots < 2; dots++) put(grid, row, col + at++, '.', style);
    return at;
}

void top_grid_right(struct top_grid *grid, int row, int col, int width, enum top_style style,
                    struct wp_str text) {
    int taken = top_text_width(text);
    int at = taken < width ? width - taken : 0;
    (void)top_grid_text(grid, row, col + at, width - at, style, text);
}

void top_grid_paint(struct top_grid *grid, int row, int col, int width, enum top_style style) {
    if (row < 0 || row >= grid->rows) return;
    for (int i = within(col, 0, grid->cols); i < within(col + width, 0, grid->cols); i++)
        grid->cells[(size_t)row * (size_t)grid->cols + (size_t)i].style = (uint8_t)style;
}

/* ---- printing ---- */

static void add_utf8(struct wp_buf *out, uint32_t code) {
    char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(first[n] | code);
    wp_buf_add(out, bytes, n);
}

void top_grid_row(const struct top_grid *grid, int row, bool ascii, struct wp_buf *out) {
    const struct top_cell *cells = grid->cells + (size_t)row * (size_t)grid->cols;
    int end = grid->cols;
    while (end > 0 && cells[end - 1].text == BLANK) end--;
    for (int i = 0; i < end; i++) {
        if (cells[i].text == 0) {
            if (ascii) wp_buf_add_str(out, "?"); /* a wide one keeps its two columns */
        } else {
            add_utf8(out, ascii && cells[i].text > 0x7e ? UNKNOWN : cells[i].text);
        }
    }
}
