/* The tables of `warmpool top`: one list of columns each, and which rows of a table are shown in which order.
 * Pure; one thread. */
#ifndef WP_TOP_TABLES_H
#define WP_TOP_TABLES_H
#include <stddef.h>
#include "top/model.h"

enum top_kind {
    TOP_TEXT,
    TOP_COUNT,  /* a whole number */
    TOP_NUMBER, /* with a place behind the point while it is small */
    TOP_PERCENT,
    TOP_MS,   /* a duration, as "4.2 s" */
    TOP_ENDS, /* a time in ms since 1970, as what is left until then; 0: "never" */
    TOP_BYTES,
    TOP_MB,   /* MiB */
    TOP_FLAG, /* the column's title in small letters, or nothing */
    TOP_BAR,  /* of a pool: view_bar.c */
};

struct top_column {
    const char *title;
    const char *key; /* field of the row */
    enum top_kind kind;
    int width;
    int rank;            /* where there is no room for all columns, those with the highest rank go first */
    int most;            /* the width up to which it grows where there is room; 0: it does not */
    const char *limit;   /* field of the row with its limit, shown as "3/10"; NULL: none */
    bool bad_above_zero; /* a count that should be 0 */
};

struct top_table_info {
    const char *name;                 /* "pools" */
    const char *id;                   /* the field by which a row is found again */
    const struct top_column *columns; /* the last one has no title */
    int sort;                         /* the column by which it is sorted at first */
    bool descending;
    const char *detail, *detail2; /* fields of the chosen row that are shown in full; NULL: none */
    const char *nothing;          /* what an empty table says */
};

extern const struct top_table_info top_tables[TOP_TABLES];

int top_column_count(enum top_table table);
/* True for texts, which are sorted from A to Z first; numbers are sorted from the largest first. */
bool top_column_is_text(const struct top_column *column);
/* The field as it is shown. now_ms: Redis' clock. */
void top_column_text(const struct top_column *column, const json_t *row, int64_t now_ms, char *out,
                     size_t size);

/* The rows that contain the filter in one of their texts (any case; empty: all), sorted by a column, those
 * that are equal by their ids. An array of borrowed rows, owned by the caller (free). */
const json_t **top_rows_shown(const json_t *rows, enum top_table table, int sort, bool descending,
                              const char *filter, size_t *ret_count);

#endif
