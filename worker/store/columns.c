/* Packs the columns of a batch: see columns.h. Pure. */
#include "store/columns.h"

void wp_columns_reset(struct wp_columns *columns) {
    for (unsigned i = 0; i < columns->used; i++) wp_buf_reset(&columns->columns[i]);
}

void wp_columns_begin(struct wp_columns *columns, unsigned count) {
    wp_columns_reset(columns);
    columns->used = count;
    for (unsigned i = 0; i < count; i++) columns->counts[i] = 0;
    for (unsigned i = 0; i < WP_COLUMNS_WORDS; i++) columns->words[i].number = 0;
}

void wp_columns_done(struct wp_columns *columns) {
    for (unsigned i = 0; i < WP_COLUMNS_MAX; i++) wp_buf_done(&columns->columns[i]);
}

struct wp_buf *wp_columns_value(struct wp_columns *columns, unsigned column) {
    columns->counts[column]++;
    return &columns->columns[column];
}

uint32_t wp_columns_word(struct wp_columns *columns, unsigned column, size_t from) {
    struct wp_buf *words = &columns->columns[column];
    struct wp_str word = {words->data + from, words->len - from};
    unsigned slot = (unsigned)(wp_str_hash(word) % WP_COLUMNS_WORDS);
    if (columns->words[slot].number > 0 && columns->words[slot].len == word.len &&
        memcmp(words->data + columns->words[slot].from, word.ptr, word.len) == 0) {
        words->len = from;
        return columns->words[slot].number;
    }
    columns->words[slot].from = from;
    columns->words[slot].len = word.len;
    columns->words[slot].number = ++columns->counts[column];
    return columns->words[slot].number;
}

size_t wp_columns_bytes(const struct wp_columns *columns) {
    size_t bytes = 0;
    for (unsigned i = 0; i < columns->used; i++) bytes += columns->columns[i].len;
    return bytes;
}

void wp_columns_end(const struct wp_columns *columns, struct wp_buf *out) {
    for (unsigned i = 0; i < columns->used; i++) {
        wp_pack_array(out, columns->counts[i]);
        if (columns->counts[i] > 0) wp_buf_add(out, columns->columns[i].data, columns->columns[i].len);
    }
}
