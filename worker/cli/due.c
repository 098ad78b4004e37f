/* The heap of due times. */
#include "cli/due.h"
#include "core/buf.h"

#include <stdlib.h>

static void swap(struct wp_due_item *a, struct wp_due_item *b) {
    struct wp_due_item kept = *a;
    *a = *b;
    *b = kept;
}

void wp_due_add(struct wp_due *due, int64_t at_us, size_t number) {
    if (due->count == due->cap) {
        due->cap = due->cap ? due->cap * 2 : 256;
        due->items = wp_realloc(due->items, due->cap * sizeof(*due->items));
    }
    size_t i = due->count++;
    due->items[i] = (struct wp_due_item){at_us, number};
    for (; i > 0 && due->items[i].at_us < due->items[(i - 1) / 2].at_us; i = (i - 1) / 2)
        swap(&due->items[i], &due->items[(i - 1) / 2]);
}

int64_t wp_due_next(const struct wp_due *due) {
    return due->count ? due->items[0].at_us : INT64_MAX;
}

size_t wp_due_take(struct wp_due *due) {
    wp_assert(due->count > 0);
    size_t number = due->items[0].number;
    due->items[0] = due->items[--due->count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < due->count && due->items[left].at_us < due->items[least].at_us) least = left;
        if (right < due->count && due->items[right].at_us < due->items[least].at_us) least = right;
        if (least == i) return number;
        swap(&due->items[i], &due->items[least]);
        i = least;
    }
}

void wp_due_done(struct wp_due *due) {
    free(due->items);
    *due = (struct wp_due){0};
}
