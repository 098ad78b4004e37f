/* Bump allocator for what lives as long as one decoded message or one reply: freed or reset all at once, and
 * wiped then (core/secret.h). */
#ifndef WP_CORE_ARENA_H
#define WP_CORE_ARENA_H
#include "core/str.h"

struct wp_arena_block;
struct wp_arena {
    struct wp_arena_block *head; /* owned; zero-initialised is valid */
    size_t used;
};

void *wp_arena_alloc(struct wp_arena *arena, size_t size); /* 8-byte aligned, aborts when out of memory */
struct wp_str wp_arena_copy(struct wp_arena *arena, struct wp_str text);
void wp_arena_reset(struct wp_arena *arena); /* keeps one block for the next use */
void wp_arena_done(struct wp_arena *arena);

#endif
