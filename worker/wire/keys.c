/* Finds a repeated key by sorting, so that an object with very many keys does not take quadratic time. Pure;
 * any thread. */
#include "wire/keys.h"
#include <stdlib.h>

void keys_add(struct keys *keys, struct wp_str name, size_t at) {
    struct key key = {name, at};
    wp_buf_add(&keys->list, &key, sizeof key);
}

static int by_name_and_place(const void *a, const void *b) {
    const struct key *left = a, *right = b;
    size_t shorter = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = shorter ? memcmp(left->name.ptr, right->name.ptr, shorter) : 0;
    if (order) return order;
    if (left->name.len != right->name.len) return left->name.len < right->name.len ? -1 : 1;
    return left->at < right->at ? -1 : 1;
}

const struct key *keys_repeated(struct keys *keys) {
    struct key *list = (struct key *)(void *)keys->list.data;
    size_t count = keys->list.len / sizeof *list;
    if (count > 1) qsort(list, count, sizeof *list, by_name_and_place);
    for (size_t i = 1; i < count; i++)
        if (wp_str_eq(list[i - 1].name, list[i].name)) return &list[i];
    return NULL;
}

void keys_done(struct keys *keys) {
    wp_buf_done(&keys->list);
}
