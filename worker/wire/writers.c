/* Loads the schemas and the table of Confluent ids. Called at start, from one thread. */
#include "wire/writers.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "core/embedded.h"
#include "wire/fields.h"

#define DEEPEST_FOLDER 8
#define LARGEST_FILE ((size_t)1 << 20)
#define EXTENSION ".avsc"

struct loader {
    struct writers *writers;
    const char *folder; /* wire.schemas */
    struct wp_error *error;
};

static bool is_schema_file(const char *name) {
    size_t length = strlen(name);
    return length > strlen(EXTENSION) && strcmp(name + length - strlen(EXTENSION), EXTENSION) == 0;
}

static enum wp_err load_current(struct loader *loader) {
    for (const struct wp_embedded *file = wp_embedded_schemas; file->name; file++) {
        struct wp_str topic_name = {file->name, strlen(file->name) - strlen(EXTENSION)};
        for (int t = 0; t < WP_TOPICS; t++) {
            if (!wp_str_is(topic_name, wp_topics[t].name)) continue;
            struct writer *writer = &loader->writers->current[t];
            writer->topic = (enum wp_topic)t;
            writer->file = wp_strdup(file->name);
            enum wp_err err = schema_parse(&writer->schema, file->name,
                                           (struct wp_str){file->text, file->size}, loader->error);
            if (err) return err;
        }
    }
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) wp_assert(loader->writers->current[t].schema.type);
    return WP_OK;
}

/* The schema's topic: by the record's full name, else the longest topic name that the file's name begins
 * with. */
static enum wp_topic topic_of(const struct writers *writers, const struct schema *schema, const char *file) {
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    enum wp_topic found = WP_TOPICS;
    size_t longest = 0;
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) {
        size_t length = strlen(wp_topics[t].name);
        if (strcmp(schema->type->name, writers->current[t].schema.type->name) == 0) return (enum wp_topic)t;
        if (length <= longest || strncmp(base, wp_topics[t].name, length) != 0) continue;
        longest = length;
        found = (enum wp_topic)t;
    }
    return found;
}

static void writer_done(struct writer *writer) {
    evolved_free(writer->evolved);
    schema_done(&writer->schema);
    free(writer->file);
}

void writer_free(struct writer *writer) {
    if (!writer) return;
    writer_done(writer);
    free(writer);
}

static enum wp_err add_writer(struct loader *loader, const char *file, struct wp_str text) {
    struct writers *writers = loader->writers;
    struct writer *writer = wp_calloc(1, sizeof *writer);
    writers->further = wp_realloc(writers->further, (writers->further_count + 1) * sizeof(struct writer *));
    writers->further[writers->further_count++] = writer;
    writer->file = wp_strdup(file);
    enum wp_err err = schema_parse(&writer->schema, file, text, loader->error);
    if (err) return err;
    if (writer->schema.type->kind != TYPE_RECORD)
        return wp_fail(loader->error, WP_ERR_CONFIG, "schema %s of wire.schemas must be a record", file);
    writer->topic = topic_of(writers, &writer->schema, file);
    if (writer->topic == WP_TOPICS)
        return wp_fail(
            loader->error, WP_ERR_CONFIG,
            "schema %s of wire.schemas: no topic has a record %s; keep the record's name, or begin "
            "the file's name with the topic's",
            file, writer->schema.type->name);
    return evolved_new(&writer->evolved, &writer->schema, file, loader->error);
}

static enum wp_err load_file(struct loader *loader, const char *path, const char *file) {
    struct wp_buf text = {0};
    FILE *in = fopen(path, "re");
    if (!in)
        return wp_fail(loader->error, WP_ERR_CONFIG, "schema %s of wire.schemas: %s", path, strerror(errno));
    text.len = fread(wp_buf_reserve(&text, LARGEST_FILE), 1, LARGEST_FILE, in);
    bool failed = ferror(in) != 0;
    fclose(in);
    enum wp_err err = WP_OK;
    if (failed)
        err = wp_fail(loader->error, WP_ERR_CONFIG, "schema %s cannot be read", path);
    else if (text.len == LARGEST_FILE)
        err = wp_fail(loader->error, WP_ERR_CONFIG, "schema %s is larger than 1 MiB", path);
    else
        err = add_writer(loader, file, wp_buf_str(&text));
    wp_buf_done(&text);
    if (err && loader->error)
        err = wp_fail(loader->error, err, "%s: mend the file, or take it out of the folder wire.schemas (%s)",
                      loader->error->text, loader->folder);
    return err;
}

static char *join(const char *folder, const char *name) {
    struct wp_buf path = {0};
    wp_buf_printf(&path, "%s%s%s", folder, *folder ? "/" : "", name);
    wp_buf_add(&path, "", 1);
    return path.data;
}

static enum wp_err load_folder(struct loader *loader, const char *inside, unsigned depth);

static enum wp_err load_entry(struct loader *loader, const char *inside, const char *name, unsigned depth) {
    char *file = join(inside, name);
    char *path = join(loader->folder, file);
    struct stat info;
    enum wp_err err = WP_OK;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        err = load_folder(loader, file, depth + 1);
    else if (is_schema_file(name))
        err = load_file(loader, path, file);
    free(file);
    free(path);
    return err;
}

/* Loads files in the order of their names, so that the choice between two equal schemas does not depend on
 * the file system. */
static enum wp_err load_folder(struct loader *loader, const char *inside, unsigned depth) {
    struct dirent **entries = NULL;
    char *path = *inside ? join(loader->folder, inside) : wp_strdup(loader->folder);
    int count = depth > DEEPEST_FOLDER ? 0 : scandir(path, &entries, NULL, alphasort);
    enum wp_err err = WP_OK;
    if (count < 0)
        err = wp_fail(loader->error, WP_ERR_CONFIG, "wire.schemas: folder %s cannot be read: %s", path,
                      strerror(errno));
    for (int i = 0; i < count; i++) {
        if (!err && entries[i]->d_name[0] != '.') err = load_entry(loader, inside, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
    free(path);
    return err;
}

static struct writer *by_name(struct writers *writers, struct wp_str name) {
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) {
        if (wp_str_is(name, wp_topics[t].name)) return &writers->current[t];
    }
    for (size_t i = 0; i < writers->further_count; i++) {
        if (wp_str_is(name, writers->further[i]->file)) return writers->further[i];
    }
    return NULL;
}

static enum wp_err add_id_of(struct loader *loader, unsigned long long id, const char *name) {
    struct writers *writers = loader->writers;
    if (writers_by_id(writers, (uint32_t)id))
        return wp_fail(loader->error, WP_ERR_CONFIG, "wire.confluent_ids: id %llu is there twice", id);
    struct writer *writer = by_name(writers, wp_str(name));
    if (!writer)
        return wp_fail(
            loader->error, WP_ERR_CONFIG,
            "wire.confluent_ids: id %llu names \"%s\", which is neither a topic nor a file of wire.schemas",
            id, name);
    writers->ids = wp_realloc(writers->ids, (writers->id_count + 1) * sizeof *writers->ids);
    writers->ids[writers->id_count++] = (struct confluent_id){(uint32_t)id, writer};
    return WP_OK;
}

/* Parses one pair, as "17=container-acquire". */
static enum wp_err add_id(struct loader *loader, struct wp_str pair) {
    char *text = wp_strndup(pair), *end = text;
    errno = 0;
    unsigned long long id = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    enum wp_err err;
    if (end == text || *end != '=' || errno || id > UINT32_MAX)
        err = wp_fail(loader->error, WP_ERR_CONFIG,
                      "wire.confluent_ids: \"%s\" is not ID=TOPIC or ID=FILE with an id of 32 bits", text);
    else
        err = add_id_of(loader, id, end + 1);
    free(text);
    return err;
}

static enum wp_err load_ids(struct loader *loader, const char *setting) {
    while (*setting) {
        setting += strspn(setting, ", \t");
        size_t length = strcspn(setting, ", \t");
        enum wp_err err = length ? add_id(loader, (struct wp_str){setting, length}) : WP_OK;
        if (err) return err;
        setting += length;
    }
    return WP_OK;
}

enum wp_err writers_make(struct writers *writers, const char *name, struct wp_str text,
                         struct writer **ret_writer, bool *ret_owned, struct wp_error *error) {
    struct writer *writer = wp_calloc(1, sizeof *writer);
    enum wp_err err = schema_parse(&writer->schema, name, text, error);
    if (!err && writer->schema.type->kind != TYPE_RECORD)
        err = wp_fail(error, WP_ERR_DATA, "schema %s must be a record, not %s", name,
                      schema_kind_name(writer->schema.type->kind));
    if (!err) {
        writer->topic = topic_of(writers, &writer->schema, "");
        *ret_writer =
            writers_by_fingerprint(writers, writer->topic == WP_TOPICS ? WP_TOPIC_ACQUIRE : writer->topic,
                                   writer->schema.fingerprint);
        *ret_owned =
            *ret_writer == NULL || !wp_str_eq((*ret_writer)->schema.canonical, writer->schema.canonical);
        if (!*ret_owned) { /* it is loaded already */
            writer_free(writer);
            return WP_OK;
        }
        err = evolved_new(&writer->evolved, &writer->schema, name, error);
    }
    if (err)
        writer_free(writer);
    else
        *ret_writer = writer;
    return err;
}

static enum wp_err check_write_ids(const struct writers *writers, struct wp_error *error) {
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) {
        if (!writers_id_of(writers, (enum wp_topic)t))
            return wp_fail(error, WP_ERR_CONFIG,
                           "wire.write is confluent, but wire.confluent_ids has no id for %s: add ID=%s",
                           wp_topics[t].name, wp_topics[t].name);
    }
    return WP_OK;
}

enum wp_err writers_load(struct writers *writers, const struct wp_config *config, struct wp_error *error) {
    struct loader loader = {.writers = writers, .folder = config->wire.schemas, .error = error};
    enum wp_err err = load_current(&loader);
    if (!err && loader.folder && *loader.folder) err = load_folder(&loader, "", 0);
    if (!err && config->wire.confluent_ids) err = load_ids(&loader, config->wire.confluent_ids);
    bool registry =
        config->wire.registry.url && *config->wire.registry.url; /* knows the ids that are missing */
    if (!err && config->wire.write == WP_WIRE_CONFLUENT && !registry) err = check_write_ids(writers, error);
    return err;
}

void writers_done(struct writers *writers) {
    for (int t = 0; t < WP_TOPICS; t++) writer_done(&writers->current[t]);
    for (size_t i = 0; i < writers->further_count; i++) writer_free(writers->further[i]);
    free(writers->further);
    free(writers->ids);
    *writers = (struct writers){0};
}

/* Looks at the topic's current schema first: nearly every message has it. */
struct writer *writers_by_fingerprint(struct writers *writers, enum wp_topic topic, uint64_t fingerprint) {
    if (writers->current[topic].schema.fingerprint == fingerprint) return &writers->current[topic];
    for (size_t i = 0; i < writers->further_count; i++) {
        struct writer *writer = writers->further[i];
        if (writer->topic == topic && writer->schema.fingerprint == fingerprint) return writer;
    }
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) {
        if (writers->current[t].schema.fingerprint == fingerprint) return &writers->current[t];
    }
    for (size_t i = 0; i < writers->further_count; i++) {
        if (writers->further[i]->schema.fingerprint == fingerprint) return writers->further[i];
    }
    return NULL;
}

struct writer *writers_by_id(struct writers *writers, uint32_t id) {
    for (size_t i = 0; i < writers->id_count; i++) {
        if (writers->ids[i].id == id) return writers->ids[i].writer;
    }
    return NULL;
}

const struct confluent_id *writers_id_of(const struct writers *writers, enum wp_topic topic) {
    for (size_t i = 0; i < writers->id_count; i++) {
        if (writers->ids[i].writer == &writers->current[topic]) return &writers->ids[i];
    }
    return NULL;
}

void writers_add_id(struct writers *writers, uint32_t id, enum wp_topic topic) {
    if (writers_by_id(writers, id)) return;
    writers->ids = wp_realloc(writers->ids, (writers->id_count + 1) * sizeof *writers->ids);
    writers->ids[writers->id_count++] = (struct confluent_id){id, &writers->current[topic]};
}
