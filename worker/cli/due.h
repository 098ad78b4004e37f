/* A queue of due times: a binary heap of (time, number), the earliest first. */
#ifndef WP_CLI_DUE_H
#define WP_CLI_DUE_H
#include <stddef.h>
#include <stdint.h>

struct wp_due {
    struct wp_due_item {
        int64_t at_us;
        size_t number;
    } * items; /* owned; zero-initialised is valid */
    size_t count, cap;
};

void wp_due_add(struct wp_due *due, int64_t at_us, size_t number);
/* The earliest time; INT64_MAX when the queue is empty. */
int64_t wp_due_next(const struct wp_due *due);
size_t wp_due_take(struct wp_due *due); /* removes the earliest, returns its number; not when empty */
void wp_due_done(struct wp_due *due);

#endif
