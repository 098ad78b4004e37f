/* Looks for parts of a claim's values in a text. A value may be printed line by line (a private key), escaped
 * (the claim's own file), or be cut (the engine cuts a line at 16 KB): so each value is looked for as a whole
 * and in parts, which end where JSON escapes something and are not longer than PART_MOST. */
#include "host/docker/quotes.h"
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"
#include "core/secret.h"

#define VALUE_LEAST 4 /* bytes of a value; shorter ones are in every text */
#define PART_LEAST 8
#define PART_MOST 64
#define PARTS_MAX 2048 /* of a claim with more of them every text counts as a quotation: the loop waits */

struct wp_quotes {
    struct wp_str parts[PARTS_MAX];
    size_t count;
    bool too_many;
    json_t *escaped; /* what parts of this claim point into beside the claim */
};

static void add(struct wp_quotes *quotes, const char *text, size_t length) {
    if (quotes->count < PARTS_MAX)
        quotes->parts[quotes->count++] = (struct wp_str){text, length};
    else
        quotes->too_many = true;
}

/* How many of the bytes look the same in JSON. */
static size_t plain(const char *text, size_t most) {
    size_t count = 0;
    while (count < most && (unsigned char)text[count] >= ' ' && (unsigned char)text[count] < 0x7f &&
           text[count] != '"' && text[count] != '\\')
        count++;
    return count;
}

static void add_parts(struct wp_quotes *quotes, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t most = length - at < PART_MOST ? length - at : PART_MOST, count = plain(text + at, most);
        if (count >= PART_LEAST) add(quotes, text + at, count);
        at += count < most ? count + 1 : count;
    }
}

static void add_escaped(struct wp_quotes *quotes, const json_t *value, size_t flags) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | flags);
    size_t length = strlen(text) - 2; /* without its quotation marks */
    if (length != json_string_length(value)) {
        json_t *kept = json_stringn(text + 1, length);
        json_array_append_new(quotes->escaped, kept);
        add(quotes, json_string_value(kept), length);
    }
    wp_wipe(text, length);
    free(text);
}

static void add_number(struct wp_quotes *quotes, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    json_t *kept = json_string(text);
    json_array_append_new(quotes->escaped, kept);
    if (strlen(text) >= VALUE_LEAST) add(quotes, json_string_value(kept), strlen(text));
    free(text);
}

static void add_value(struct wp_quotes *quotes, const json_t *value) {
    size_t i;
    const char *key;
    const json_t *of;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, of) add_value(quotes, of);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, of) add_value(quotes, of);
    } else if (json_is_number(value)) {
        add_number(quotes, value);
    } else if (json_is_string(value) && json_string_length(value) >= VALUE_LEAST) {
        add(quotes, json_string_value(value), json_string_length(value));
        add_escaped(quotes, value, 0);
        add_escaped(quotes, value, JSON_ENSURE_ASCII);
        add_parts(quotes, json_string_value(value), json_string_length(value));
    }
}

struct wp_quotes *wp_quotes_new(const json_t *claim) {
    if (!claim) return NULL;
    struct wp_quotes *quotes = wp_calloc(1, sizeof *quotes);
    quotes->escaped = json_array();
    add_value(quotes, claim);
    return quotes;
}

void wp_quotes_free(struct wp_quotes *quotes) {
    if (!quotes) return;
    json_decref(quotes->escaped);
    free(quotes);
}

bool wp_quotes_in(const struct wp_quotes *quotes, struct wp_str text) {
    if (!quotes) return false;
    for (size_t i = 0; i < quotes->count; i++)
        if (memmem(text.ptr, text.len, quotes->parts[i].ptr, quotes->parts[i].len)) return true;
    return quotes->too_many;
}
