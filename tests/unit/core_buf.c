#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include "core/arena.h"
#include "core/buf.h"

Test(buf, grows_and_keeps_what_was_added) {
    struct wp_buf buf = {0};
    for (int i = 0; i < 10000; i++) wp_buf_add(&buf, &(char){(char)('a' + i % 26)}, 1);
    cr_assert_eq(buf.len, 10000);
    for (size_t i = 0; i < buf.len; i++) cr_assert_eq(buf.data[i], (char)('a' + i % 26));
    wp_buf_done(&buf);
    cr_assert_null(buf.data);
}

Test(buf, printf_appends_short_and_long_texts) {
    struct wp_buf buf = {0};
    char wide[5001];
    memset(wide, 'w', 5000);
    wide[5000] = '\0';
    wp_buf_add_str(&buf, "a=");
    wp_buf_printf(&buf, "%d,%s,", 42, wide);
    wp_buf_printf(&buf, "end");
    cr_assert_eq(buf.len, 2 + 3 + 5000 + 1 + 3);
    cr_assert(strncmp(buf.data, "a=42,ww", 7) == 0);
    cr_assert(strncmp(buf.data + buf.len - 5, "w,end", 5) == 0);
    wp_buf_done(&buf);
}

Test(buf, printf_fits_exactly_at_every_length_around_the_capacity) {
    char text[200];
    for (size_t len = 50; len < 140; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        struct wp_buf buf = {0};
        wp_buf_printf(&buf, "%s", text);
        cr_assert(wp_str_is(wp_buf_str(&buf), text));
        wp_buf_done(&buf);
    }
}

Test(buf, adding_nothing_is_allowed_on_an_empty_buffer) {
    struct wp_buf buf = {0};
    wp_buf_add(&buf, NULL, 0);
    cr_assert_eq(buf.len, 0);
    cr_assert_not_null(wp_buf_reserve(&buf, 0));
    wp_buf_done(&buf);
}

/* What passes through may be secret (core/secret.h). */
Test(buf, nothing_is_left_of_what_was_in_it_when_it_is_reset) {
    struct wp_buf buf = {0};
    static const char nothing[6];
    wp_buf_add_str(&buf, "s3cret");
    wp_buf_reset(&buf);
    cr_assert_arr_eq(buf.data, nothing, 6);
    wp_buf_done(&buf);
}

Test(arena, nothing_is_left_of_what_was_in_it_when_it_is_reset) {
    struct wp_arena arena = {0};
    static const char nothing[6];
    struct wp_str text = wp_arena_copy(&arena, WP_STR("s3cret"));
    wp_arena_reset(&arena);
    cr_assert_arr_eq(text.ptr, nothing, 6, "the newest block is kept");
    wp_arena_done(&arena);
}

Test(buf, reset_keeps_the_memory) {
    struct wp_buf buf = {0};
    wp_buf_add_str(&buf, "hello");
    const char *before = buf.data;
    wp_buf_reset(&buf);
    wp_buf_add_str(&buf, "world");
    cr_assert_eq(buf.data, before);
    cr_assert(wp_str_is(wp_buf_str(&buf), "world"));
    wp_buf_done(&buf);
}

Test(buf, a_size_that_overflows_is_a_bug_not_a_small_allocation, .signal = SIGABRT) {
    struct wp_buf buf = {0};
    wp_buf_reserve(&buf, SIZE_MAX - 8);
}

#ifndef __SANITIZE_ADDRESS__ /* its allocator ends the process itself, with a report */
Test(alloc, failure_aborts, .signal = SIGABRT) {
    wp_calloc(SIZE_MAX / 2, 4);
}
#endif

Test(alloc, copies_are_terminated_and_zero_sizes_are_fine) {
    char *copy = wp_strndup((struct wp_str){"abcdef", 3});
    cr_assert_str_eq(copy, "abc");
    free(copy);
    copy = wp_strndup((struct wp_str){NULL, 0});
    cr_assert_str_eq(copy, "");
    free(copy);
    copy = wp_strdup("x");
    cr_assert_str_eq(copy, "x");
    copy = wp_realloc(copy, 0);
    cr_assert_not_null(copy);
    free(copy);
    free(wp_calloc(0, 8));
    int *zeros = wp_calloc(4, sizeof(int));
    for (int i = 0; i < 4; i++) cr_assert_eq(zeros[i], 0);
    free(zeros);
}

Test(arena, gives_aligned_memory_that_does_not_overlap) {
    struct wp_arena arena = {0};
    unsigned char *parts[300];
    for (size_t i = 0; i < 300; i++) {
        parts[i] = wp_arena_alloc(&arena, i + 1);
        cr_assert_eq((uintptr_t)parts[i] % 8, 0);
        memset(parts[i], (int)(i % 251), i + 1);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k <= i; k++) cr_assert_eq(parts[i][k], i % 251);
    }
    wp_arena_done(&arena);
}

Test(arena, takes_pieces_larger_than_a_block) {
    struct wp_arena arena = {0};
    char *small = wp_arena_alloc(&arena, 8);
    memcpy(small, "small..", 8);
    char *large = wp_arena_alloc(&arena, 3 * 1024 * 1024);
    memset(large, 'L', 3 * 1024 * 1024);
    cr_assert_str_eq(small, "small..");
    wp_arena_done(&arena);
    cr_assert_null(arena.head);
}

Test(arena, reset_reuses_its_memory) {
    struct wp_arena arena = {0};
    for (int i = 0; i < 100; i++) wp_arena_alloc(&arena, 1000);
    wp_arena_reset(&arena);
    const struct wp_arena_block *kept = arena.head;
    cr_assert_not_null(kept);
    for (int i = 0; i < 20; i++) wp_arena_alloc(&arena, 1000);
    cr_assert_eq(arena.head, kept);
    wp_arena_done(&arena);
}

Test(arena, copies_text_and_needs_nothing_for_empty_text) {
    struct wp_arena arena = {0};
    wp_arena_reset(&arena);
    cr_assert(wp_str_is(wp_arena_copy(&arena, (struct wp_str){0}), ""));
    cr_assert_null(arena.head);
    char source[] = "react";
    struct wp_str copy = wp_arena_copy(&arena, wp_str(source));
    source[0] = 'X';
    cr_assert(wp_str_is(copy, "react"));
    wp_arena_done(&arena);
}
