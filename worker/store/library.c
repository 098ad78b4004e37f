/* Owns the table of function libraries, and puts their texts together. Pure. */
#include "store/library.h"
#include "core/embedded.h"
#include <stdlib.h>

static const struct wp_library libraries[] = {
    {"wp_pool_v2",
     WP_SLOT_POOL,
     {"frame.lua",
      "bulk.lua",
      "delivery.lua",
      "lists.lua",
      "host_table.lua",
      "rows.lua",
      "idle.lua",
      "tenants.lua",
      "state.lua",
      "turns.lua",
      "state_requests.lua",
      "state_containers.lua",
      "state_pools.lua",
      "predictor.lua",
      "philosophies.lua",
      "repair.lua",
      "agents.lua",
      "answers.lua",
      "warm.lua",
      "leases.lua",
      "capacity.lua",
      "rollout.lua",
      "pool.lua",
      "due.lua",
      "container_events.lua",
      "pool_control.lua",
      "usage.lua",
      "recover.lua",
      "hosts.lua",
      "pool_library.lua"}},
    {"wp_pool",
     WP_SLOT_POOL,
     {"frame.lua", "bulk.lua", "lists.lua", "host_table.lua", "rows.lua", "idle.lua", "tenants.lua",
      "state.lua", "turns.lua", "state_requests.lua", "state_containers.lua", "state_pools.lua",
      "predictor.lua", "agents.lua", "pool_stats.lua", "pool_contents.lua", "host_stats.lua",
      "pool_public.lua"}},
    {"wp_pool_v1", WP_SLOT_POOL, {"pool_v1_library.lua"}},
    {"wp_cache_v2",
     WP_SLOT_CACHE,
     {"frame.lua", "bulk.lua", "delivery.lua", "cache_store.lua", "cache_eviction.lua", "cache.lua",
      "cache_library.lua"}},
    {"wp_cache",
     WP_SLOT_CACHE,
     {"frame.lua", "bulk.lua", "cache_store.lua", "cache_stats.lua", "cache_public.lua"}},
    {"wp_cache_v1", WP_SLOT_CACHE, {"cache_v1_library.lua"}},
};

static const struct wp_embedded *find_file(const char *name) {
    for (const struct wp_embedded *file = wp_embedded_functions; file->name; file++)
        if (strcmp(file->name, name) == 0) return file;
    wp_bug(name, "this file of redis/ is not compiled in", 0);
}

static const struct wp_embedded *last_file(const struct wp_library *library) {
    const char *last = library->files[0];
    for (int i = 1; i < WP_LIBRARY_FILES && library->files[i]; i++) last = library->files[i];
    return find_file(last);
}

const struct wp_library *wp_library_of_slot(enum wp_slot slot, int number) {
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (libraries[i].slot == slot && number-- == 0) return &libraries[i];
    return NULL;
}

static void add_files(const struct wp_library *library, struct wp_buf *out) {
    for (int i = 0; i < WP_LIBRARY_FILES && library->files[i]; i++) {
        const struct wp_embedded *file = find_file(library->files[i]);
        wp_buf_add(out, file->text, file->size);
        wp_buf_add_str(out, "\n");
    }
}

/* Revision and hash are in the second line, so that they are found without reading the code. */
void wp_library_text(const struct wp_library *library, struct wp_buf *out) {
    struct wp_buf files = {0};
    add_files(library, &files);
    wp_buf_printf(out, "#!lua name=%s\n-- revision %d hash %016llx\n", library->name,
                  wp_library_revision_of(last_file(library)->text),
                  (unsigned long long)wp_str_hash64(wp_buf_str(&files)));
    wp_buf_add(out, files.data, files.len);
    wp_buf_done(&files);
}

static int read_number(const char *at) {
    int value = 0;
    for (; *at >= '0' && *at <= '9' && value < 100000000; at++) value = value * 10 + (*at - '0');
    return value;
}

static const char mark[] = "-- revision ";

/* The text after the mark on the first line that begins with the mark, or NULL. */
static const char *after_mark(const char *text) {
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, mark, sizeof mark - 1) == 0) return line + sizeof mark - 1;
    }
    return NULL;
}

int wp_library_revision_of(const char *text) {
    const char *at = after_mark(text);
    return at ? read_number(at) : 0;
}

uint64_t wp_library_hash_of(const char *text) {
    static const char word[] = " hash ";
    const char *at = after_mark(text);
    if (!at) return 0;
    at += strspn(at, "0123456789");
    return strncmp(at, word, sizeof word - 1) == 0 ? strtoull(at + sizeof word - 1, NULL, 16) : 0;
}

bool wp_library_is_newer(const char *text, const char *other) {
    int mine = wp_library_revision_of(text), theirs = wp_library_revision_of(other);
    return mine != theirs ? mine > theirs : wp_library_hash_of(text) > wp_library_hash_of(other);
}
