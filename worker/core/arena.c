/* The bump allocator. An arena belongs to one thread. */
#include "core/arena.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include "core/buf.h"
#include "core/secret.h"

#define ALIGNMENT 8
#define FIRST_BLOCK 4096
#define LARGEST_STEP ((size_t)1 << 20)

struct wp_arena_block {
    struct wp_arena_block *next; /* owned; older */
    size_t cap;
    alignas(ALIGNMENT) char data[];
};

static size_t next_cap(const struct wp_arena *arena, size_t size) {
    size_t cap = arena->head ? arena->head->cap * 2 : FIRST_BLOCK;
    if (cap > LARGEST_STEP) cap = LARGEST_STEP;
    return cap < size ? size : cap;
}

void *wp_arena_alloc(struct wp_arena *arena, size_t size) {
    wp_assert(size <= SIZE_MAX / 4);
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!arena->head || arena->head->cap - arena->used < size) {
        size_t cap = next_cap(arena, size);
        struct wp_arena_block *block = wp_alloc(sizeof(*block) + cap);
        block->next = arena->head;
        block->cap = cap;
        arena->head = block;
        arena->used = 0;
    }
    char *at = arena->head->data + arena->used;
    arena->used += size;
    return at;
}

struct wp_str wp_arena_copy(struct wp_arena *arena, struct wp_str text) {
    if (text.len == 0) return (struct wp_str){"", 0};
    char *copy = wp_arena_alloc(arena, text.len);
    memcpy(copy, text.ptr, text.len);
    return (struct wp_str){copy, text.len};
}

static void free_blocks(struct wp_arena_block *block) {
    while (block) {
        struct wp_arena_block *next = block->next;
        wp_wipe(block->data, block->cap);
        free(block);
        block = next;
    }
}

void wp_arena_reset(struct wp_arena *arena) {
    if (!arena->head) return;
    free_blocks(arena->head->next); /* the newest is kept: it fits what was last needed */
    arena->head->next = NULL;
    wp_wipe(arena->head->data, arena->used);
    arena->used = 0;
}

void wp_arena_done(struct wp_arena *arena) {
    wp_arena_reset(arena);
    free(arena->head);
    *arena = (struct wp_arena){0};
}
