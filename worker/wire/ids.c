/* The table of schema ids from a registry. Called while messages are decoded, and when an answer has come. */
#include "wire/ids.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void free_entry(struct schema_id *entry) {
    if (entry->owned) writer_free(entry->writer);
    free(entry->refused);
    free(entry);
}

static void drop(struct ids *ids, struct schema_id *entry) {
    /* The table goes with its last one only. NOLINTNEXTLINE(clang-analyzer-*) */
    HASH_DEL(ids->table, entry);
    if (ids->last == entry) ids->last = NULL;
    if (entry->refused)
        ids->refused--;
    else
        ids->schemas--;
    ids->bytes -= entry->bytes;
    free_entry(entry);
}

struct schema_id *ids_find(struct ids *ids, uint32_t id, int64_t now_us) {
    struct schema_id *entry = ids->last;
    if (!entry || entry->id != id) {
        HASH_FIND(hh, ids->table, &id, sizeof id, entry);
        if (!entry) return NULL;
        ids->last = entry;
    }
    entry->used_us = now_us;
    if (!entry->refused || entry->until_us > now_us) return entry;
    drop(ids, entry);
    return NULL;
}

static struct schema_id *oldest(const struct ids *ids, bool refused) {
    struct schema_id *found = NULL;
    for (struct schema_id *entry = ids->table; entry; entry = entry->hh.next)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in drop() */
        if ((entry->refused != NULL) == refused && (!found || entry->used_us < found->used_us)) found = entry;
    return found;
}

/* The entry of the id, emptied; `why` (owned by it from now on) marks it as refused. */
static struct schema_id *put(struct ids *ids, uint32_t id, char *why, int64_t now_us) {
    struct schema_id *entry;
    HASH_FIND(hh, ids->table, &id, sizeof id, entry);
    if (entry) drop(ids, entry);
    entry = wp_calloc(1, sizeof *entry);
    *entry = (struct schema_id){.id = id, .refused = why, .used_us = now_us};
    HASH_ADD(hh, ids->table, id, sizeof id, entry);
    if (why)
        ids->refused++;
    else
        ids->schemas++;
    return entry;
}

static bool is_full(const struct ids *ids, size_t max, size_t bytes) {
    return ids->schemas >= max || ids->bytes + bytes > IDS_BYTES_MAX;
}

static enum wp_err make_room(struct ids *ids, size_t max, size_t bytes, int64_t now_us,
                             struct wp_error *error) {
    while (is_full(ids, max, bytes)) {
        struct schema_id *entry = oldest(ids, false);
        if (!entry || entry->used_us + IDS_IN_USE_US > now_us)
            return wp_fail(error, WP_ERR_DATA,
                           "%zu schemas of the registry are in use, which is all that is kept: raise "
                           "wire.registry.max_schemas",
                           ids->schemas);
        drop(ids, entry);
    }
    return WP_OK;
}

enum wp_err ids_add_json(struct ids *ids, uint32_t id, size_t max, int64_t now_us, struct wp_error *error) {
    enum wp_err err = make_room(ids, max, 0, now_us, error);
    if (!err) put(ids, id, NULL, now_us);
    return err;
}

enum wp_err ids_add_avro(struct ids *ids, struct writers *writers, uint32_t id, struct wp_str text,
                         size_t max, int64_t now_us, struct wp_error *error) {
    struct writer *writer;
    char name[24];
    bool owned;
    (void)snprintf(name, sizeof name, "id %" PRIu32, id);
    enum wp_err err = make_room(ids, max, text.len, now_us, error);
    if (!err) err = writers_make(writers, name, text, &writer, &owned, error);
    if (err) return wp_fail(error, WP_ERR_DATA, "%s", error->text);
    struct schema_id *entry = put(ids, id, NULL, now_us);
    entry->writer = writer;
    entry->owned = owned;
    entry->bytes = text.len;
    ids->bytes += text.len;
    return WP_OK;
}

void ids_refuse(struct ids *ids, uint32_t id, const char *why, int64_t until_us, int64_t now_us) {
    while (ids->refused >= IDS_REFUSED_MAX) drop(ids, oldest(ids, true));
    put(ids, id, wp_strdup(why), now_us)->until_us = until_us;
}

void ids_done(struct ids *ids) {
    struct schema_id *entry = ids->table, *next;
    HASH_CLEAR(hh, ids->table); /* the entries and their next pointers stay */
    for (; entry; entry = next) {
        next = entry->hh.next;
        free_entry(entry);
    }
}
