#include "cli/due.h"
#include <criterion/criterion.h>
#include <stdint.h>

Test(due, empty_has_no_next_time) {
    struct wp_due due = {0};
    cr_assert_eq(wp_due_next(&due), INT64_MAX);
    wp_due_done(&due);
}

Test(due, gives_the_earliest_first_whatever_the_order_of_adding) {
    struct wp_due due = {0};
    for (size_t i = 0; i < 5000; i++) wp_due_add(&due, (int64_t)(i * 7919 % 5000), i * 7919 % 5000);
    for (size_t i = 0; i < 5000; i++) {
        cr_assert_eq(wp_due_next(&due), (int64_t)i);
        cr_assert_eq(wp_due_take(&due), i);
    }
    cr_assert_eq(due.count, 0);
    wp_due_done(&due);
}
