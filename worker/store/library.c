/* Owns the table of function libraries and how their text is put together. Pure. */
#include "store/library.h"
#include "core/embedded.h"

static const struct wp_library libraries[] = {
    {"wp_pool_v1",
     WP_SLOT_POOL,
     {"delivery.lua", "bulk.lua", "lists.lua", "host_table.lua", "state.lua", "predictor.lua",
      "philosophies.lua", "repair.lua", "agents.lua", "leases.lua", "capacity.lua", "pool.lua", "recover.lua",
      "hosts.lua", "pool_library.lua"}},
    {"wp_pool",
     WP_SLOT_POOL,
     {"delivery.lua", "bulk.lua", "lists.lua", "host_table.lua", "state.lua", "predictor.lua", "agents.lua",
      "pool_stats.lua", "pool_public.lua"}},
    {"wp_cache_v1",
     WP_SLOT_CACHE,
     {"delivery.lua", "bulk.lua", "cache_store.lua", "cache_eviction.lua", "cache.lua", "cache_library.lua"}},
    {"wp_cache",
     WP_SLOT_CACHE,
     {"delivery.lua", "bulk.lua", "cache_store.lua", "cache_stats.lua", "cache_public.lua"}},
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

/* The revision stands at the top, so that it is found without reading the code. */
void wp_library_text(const struct wp_library *library, struct wp_buf *out) {
    wp_buf_printf(out, "#!lua name=%s\n-- revision %d\n", library->name,
                  wp_library_revision_of(last_file(library)->text));
    for (int i = 0; i < WP_LIBRARY_FILES && library->files[i]; i++) {
        const struct wp_embedded *file = find_file(library->files[i]);
        wp_buf_add(out, file->text, file->size);
        wp_buf_add_str(out, "\n");
    }
}

static int read_number(const char *at) {
    int value = 0;
    for (; *at >= '0' && *at <= '9' && value < 100000000; at++) value = value * 10 + (*at - '0');
    return value;
}

int wp_library_revision_of(const char *text) {
    static const char mark[] = "-- revision ";
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, mark, sizeof mark - 1) == 0) return read_number(line + sizeof mark - 1);
    }
    return 0;
}
