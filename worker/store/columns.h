/* A batch of events in the form that a topic's function takes (redis/README.md): a MessagePack array for each
 * column. Topics whose events are sent as rows have a single column of rows. */
#ifndef WP_STORE_COLUMNS_H
#define WP_STORE_COLUMNS_H
#include "store/event_args.h"

enum { WP_COLUMNS_MAX = 9, WP_COLUMNS_WORDS = 256 };

struct wp_columns { /* zero-initialised is valid and empty */
    unsigned used;  /* columns */
    struct wp_buf columns[WP_COLUMNS_MAX];
    uint32_t counts[WP_COLUMNS_MAX];
    struct { /* hash table of a dictionary's words: where each is in the dictionary's column */
        size_t from, len;
        uint32_t number; /* from 1; 0: none */
    } words[WP_COLUMNS_WORDS];
};

/* Empties it. */
void wp_columns_begin(struct wp_columns *columns, unsigned count);
/* Wipes what is packed. */
void wp_columns_reset(struct wp_columns *columns);
void wp_columns_done(struct wp_columns *columns);
/* Counts one more value of that column, which the caller packs into the returned buffer. */
struct wp_buf *wp_columns_value(struct wp_columns *columns, unsigned column);
/* For a dictionary's column: the caller has packed a word into its buffer at `from` (not by
 * wp_columns_value). Returns the word's number, from 1. A word that the hash table finds is removed from the
 * buffer again. It does not find every word, so a dictionary may contain a word more than once. */
uint32_t wp_columns_word(struct wp_columns *columns, unsigned column, size_t from);
size_t wp_columns_bytes(const struct wp_columns *columns); /* about what wp_columns_end will add */
void wp_columns_end(const struct wp_columns *columns, struct wp_buf *out);

#endif
