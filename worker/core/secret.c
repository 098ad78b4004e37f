/* Wiped memory: see secret.h. Owns nothing. */
#include "core/secret.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void wp_wipe(void *bytes, size_t len) {
    if (len > 0) explicit_bzero(bytes, len);
}

void wp_free_wiped(void *block) {
    if (block) wp_wipe(block, malloc_usable_size(block));
    free(block);
}

void *wp_realloc_wiped(void *block, size_t size) {
    size_t had = block ? malloc_usable_size(block) : 0;
    if (size == 0) size = 1;
    if (block && had >= size) return block;
    void *larger = malloc(size);
    if (!larger || !block) return larger;
    memcpy(larger, block, had < size ? had : size);
    wp_free_wiped(block);
    return larger;
}
