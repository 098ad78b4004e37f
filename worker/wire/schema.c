/* Reads an Avro schema's JSON text into a tree of types, and writes its Parsing Canonical Form and that one's
 * CRC-64-AVRO fingerprint. Any thread. */
#include "wire/schema.h"
#include <stdio.h>
#include "core/buf.h"

#define DEEPEST_SCHEMA 64
#define NAMED_TYPES 256

struct parser {
    struct schema *schema;
    const char *file;
    struct wp_error *error;
    enum wp_err err;
    struct type *named[NAMED_TYPES];
    size_t named_count;
    unsigned depth;
};

static const char *const kind_names[] = {
    [TYPE_NULL] = "null",     [TYPE_BOOLEAN] = "boolean", [TYPE_INT] = "int",     [TYPE_LONG] = "long",
    [TYPE_FLOAT] = "float",   [TYPE_DOUBLE] = "double",   [TYPE_BYTES] = "bytes", [TYPE_STRING] = "string",
    [TYPE_RECORD] = "record", [TYPE_ENUM] = "enum",       [TYPE_FIXED] = "fixed", [TYPE_ARRAY] = "array",
    [TYPE_MAP] = "map",       [TYPE_UNION] = "union"};

const char *schema_kind_name(enum avro_type kind) {
    return kind_names[kind];
}

enum avro_type schema_primitive(const char *word) {
    for (enum avro_type kind = TYPE_NULL; kind <= TYPE_STRING; kind++) {
        if (strcmp(kind_names[kind], word) == 0) return kind;
    }
    return TYPE_RECORD;
}

const struct type_field *schema_field(const struct type *record, const char *name) {
    for (size_t i = 0; i < record->count; i++) {
        if (strcmp(record->fields[i].name, name) == 0) return &record->fields[i];
    }
    return NULL;
}

static struct type *refuse(struct parser *parser, const char *what, const char *which) {
    if (!parser->err)
        parser->err = wp_fail(parser->error, WP_ERR_CONFIG, "schema %s: %s%s%s", parser->file, what,
                              which ? ": " : "", which ? which : "");
    return NULL;
}

static void *keep(struct parser *parser, size_t size) {
    void *at = wp_arena_alloc(&parser->schema->arena, size ? size : 1);
    memset(at, 0, size);
    return at;
}

static const char *keep_text(struct parser *parser, const char *text) {
    return wp_arena_copy(&parser->schema->arena, (struct wp_str){text, strlen(text) + 1}).ptr;
}

/* A name with a dot is full; any other stands in the namespace around it. */
static const char *full_name(struct parser *parser, const char *name, const char *space) {
    if (strchr(name, '.') || !space || !*space) return keep_text(parser, name);
    size_t size = strlen(space) + 1 + strlen(name) + 1;
    char *full = wp_arena_alloc(&parser->schema->arena, size);
    snprintf(full, size, "%s.%s", space, name);
    return full;
}

static struct type *parse(struct parser *parser, const json_t *json, const char *space);

static struct type *new_type(struct parser *parser, enum avro_type kind) {
    struct type *type = keep(parser, sizeof *type);
    type->kind = kind;
    return type;
}

static struct type *parse_word(struct parser *parser, const char *word, const char *space) {
    enum avro_type primitive = schema_primitive(word);
    if (primitive != TYPE_RECORD) return new_type(parser, primitive);
    const char *name = full_name(parser, word, space);
    for (size_t i = 0; i < parser->named_count; i++) {
        if (strcmp(parser->named[i]->name, name) == 0) return parser->named[i];
    }
    return refuse(parser, "it uses a type that it does not define before", name);
}

static struct type *parse_union(struct parser *parser, const json_t *json, const char *space) {
    struct type *type = new_type(parser, TYPE_UNION);
    type->count = json_array_size(json);
    if (type->count == 0) return refuse(parser, "a union has no branch", NULL);
    type->branches = keep(parser, type->count * sizeof(struct type *));
    for (size_t i = 0; i < type->count; i++) {
        type->branches[i] = parse(parser, json_array_get(json, i), space);
        if (!type->branches[i]) return NULL;
        if (type->branches[i]->kind == TYPE_UNION) return refuse(parser, "a union holds another one", NULL);
    }
    return type;
}

static struct type *parse_fields(struct parser *parser, struct type *type, const json_t *fields,
                                 const char *space) {
    if (!json_is_array(fields)) return refuse(parser, "a record has no list of fields", type->name);
    type->count = json_array_size(fields);
    type->fields = keep(parser, type->count * sizeof *type->fields);
    for (size_t i = 0; i < type->count; i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        if (!name) return refuse(parser, "a record has a field without a name", type->name);
        type->fields[i].name = keep_text(parser, name);
        type->fields[i].fallback = json_object_get(field, "default");
        type->fields[i].type = parse(parser, json_object_get(field, "type"), space);
        if (!type->fields[i].type) return NULL;
    }
    return type;
}

static struct type *parse_symbols(struct parser *parser, struct type *type, const json_t *symbols) {
    type->count = json_array_size(symbols);
    if (type->count == 0) return refuse(parser, "an enum has no symbol", type->name);
    type->symbols = keep(parser, type->count * sizeof *type->symbols);
    for (size_t i = 0; i < type->count; i++) {
        const char *symbol = json_string_value(json_array_get(symbols, i));
        if (!symbol) return refuse(parser, "an enum's symbol is no text", type->name);
        type->symbols[i] = keep_text(parser, symbol);
    }
    return type;
}

/* The namespace that the names inside a named type stand in: that of its own full name. */
static const char *space_of(struct parser *parser, const char *name) {
    const char *dot = strrchr(name, '.');
    if (!dot) return "";
    char *space = wp_arena_alloc(&parser->schema->arena, (size_t)(dot - name) + 1);
    memcpy(space, name, (size_t)(dot - name));
    space[dot - name] = '\0';
    return space;
}

static struct type *parse_named(struct parser *parser, const json_t *json, enum avro_type kind,
                                const char *space) {
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *own_space = json_string_value(json_object_get(json, "namespace"));
    if (!name || !*name) return refuse(parser, "it has a type without a name", kind_names[kind]);
    if (parser->named_count == NAMED_TYPES) return refuse(parser, "it has more than 256 named types", NULL);
    struct type *type = new_type(parser, kind);
    type->name = full_name(parser, name, own_space ? own_space : space);
    for (size_t i = 0; i < parser->named_count; i++) {
        if (strcmp(parser->named[i]->name, type->name) == 0)
            return refuse(parser, "it defines a type twice", type->name);
    }
    parser->named[parser->named_count++] = type;
    if (kind == TYPE_ENUM) return parse_symbols(parser, type, json_object_get(json, "symbols"));
    if (kind == TYPE_RECORD)
        return parse_fields(parser, type, json_object_get(json, "fields"), space_of(parser, type->name));
    const json_t *size = json_object_get(json, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 || json_integer_value(size) > INT32_MAX)
        return refuse(parser, "a fixed has no size in bytes", type->name);
    type->count = (size_t)json_integer_value(size);
    return type;
}

static struct type *parse_object(struct parser *parser, const json_t *json, const char *space) {
    const json_t *of = json_object_get(json, "type");
    const char *word = json_string_value(of);
    if (!word) return parse(parser, of, space);
    if (strcmp(word, "record") == 0) return parse_named(parser, json, TYPE_RECORD, space);
    if (strcmp(word, "enum") == 0) return parse_named(parser, json, TYPE_ENUM, space);
    if (strcmp(word, "fixed") == 0) return parse_named(parser, json, TYPE_FIXED, space);
    bool array = strcmp(word, "array") == 0;
    if (!array && strcmp(word, "map") != 0) return parse_word(parser, word, space);
    struct type *type = new_type(parser, array ? TYPE_ARRAY : TYPE_MAP);
    type->items = parse(parser, json_object_get(json, array ? "items" : "values"), space);
    return type->items ? type : NULL;
}

static struct type *parse(struct parser *parser, const json_t *json, const char *space) {
    if (parser->depth == DEEPEST_SCHEMA) return refuse(parser, "it is nested more than 64 deep", NULL);
    parser->depth++;
    struct type *type;
    if (json_is_string(json))
        type = parse_word(parser, json_string_value(json), space);
    else if (json_is_array(json))
        type = parse_union(parser, json, space);
    else if (json_is_object(json))
        type = parse_object(parser, json, space);
    else
        type = refuse(parser, "a type is missing, or is neither text, list nor object", NULL);
    parser->depth--;
    return type;
}

/* A record that contains itself, with no union, array or map between, has no finite value. */
static bool is_endless(struct type *type) {
    if (type->kind != TYPE_RECORD) return false;
    if (type->visited) return true;
    type->visited = true;
    bool endless = false;
    for (size_t i = 0; i < type->count && !endless; i++) endless = is_endless(type->fields[i].type);
    type->visited = false;
    return endless;
}

static bool any_endless(struct parser *parser) {
    for (size_t i = 0; i < parser->named_count; i++) {
        if (is_endless(parser->named[i])) return true;
    }
    return false;
}

/* ---- the Parsing Canonical Form (Avro specification 1.11) ---- */

static void write_canonical(struct type *type, struct wp_buf *out);

static void write_text(struct wp_buf *out, const char *text) {
    wp_buf_add(out, "\"", 1);
    wp_buf_add_str(out, text);
    wp_buf_add(out, "\"", 1);
}

static void write_fields(const struct type *type, struct wp_buf *out) {
    wp_buf_add_str(out, ",\"fields\":[");
    for (size_t i = 0; i < type->count; i++) {
        wp_buf_add_str(out, i ? ",{\"name\":" : "{\"name\":");
        write_text(out, type->fields[i].name);
        wp_buf_add_str(out, ",\"type\":");
        write_canonical(type->fields[i].type, out);
        wp_buf_add_str(out, "}");
    }
    wp_buf_add_str(out, "]}");
}

static void write_symbols(const struct type *type, struct wp_buf *out) {
    wp_buf_add_str(out, ",\"symbols\":[");
    for (size_t i = 0; i < type->count; i++) {
        if (i) wp_buf_add_str(out, ",");
        write_text(out, type->symbols[i]);
    }
    wp_buf_add_str(out, "]}");
}

/* A named type is written out once; later it is its name. */
static void write_named(struct type *type, struct wp_buf *out) {
    if (type->visited) {
        write_text(out, type->name);
        return;
    }
    type->visited = true;
    wp_buf_add_str(out, "{\"name\":");
    write_text(out, type->name);
    wp_buf_printf(out, ",\"type\":\"%s\"", schema_kind_name(type->kind));
    if (type->kind == TYPE_RECORD)
        write_fields(type, out);
    else if (type->kind == TYPE_ENUM)
        write_symbols(type, out);
    else
        wp_buf_printf(out, ",\"size\":%zu}", type->count);
}

static void write_canonical(struct type *type, struct wp_buf *out) {
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_ENUM:
    case TYPE_FIXED:
        write_named(type, out);
        return;
    case TYPE_ARRAY:
    case TYPE_MAP:
        wp_buf_add_str(out, type->kind == TYPE_ARRAY ? "{\"type\":\"array\",\"items\":"
                                                     : "{\"type\":\"map\",\"values\":");
        write_canonical(type->items, out);
        wp_buf_add_str(out, "}");
        return;
    case TYPE_UNION:
        for (size_t i = 0; i < type->count; i++) {
            wp_buf_add_str(out, i ? "," : "[");
            write_canonical(type->branches[i], out);
        }
        wp_buf_add_str(out, "]");
        return;
    default:
        write_text(out, schema_kind_name(type->kind));
    }
}

/* ---- CRC-64-AVRO ---- */

#define EMPTY UINT64_C(0xc15d213aa4d7a795)

uint64_t schema_crc64(struct wp_str bytes) {
    uint64_t crc = EMPTY;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.ptr[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (EMPTY & -(crc & 1));
    }
    return crc;
}

/* ---- all of it ---- */

enum wp_err schema_parse(struct schema *ret_schema, const char *name, struct wp_str text,
                         struct wp_error *error) {
    json_error_t where;
    *ret_schema = (struct schema){0};
    struct parser parser = {.schema = ret_schema, .file = name, .error = error};
    ret_schema->json = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, &where);
    if (!ret_schema->json)
        return wp_fail(error, WP_ERR_CONFIG, "schema %s is no JSON: line %d: %s", name, where.line,
                       where.text);
    ret_schema->type = parse(&parser, ret_schema->json, NULL);
    if (ret_schema->type && any_endless(&parser))
        ret_schema->type = refuse(&parser, "a record contains itself without end", NULL);
    if (!ret_schema->type) {
        schema_done(ret_schema);
        return parser.err;
    }
    struct wp_buf canonical = {0};
    write_canonical(ret_schema->type, &canonical);
    ret_schema->fingerprint = schema_crc64(wp_buf_str(&canonical));
    wp_buf_add(&canonical, "", 1);
    ret_schema->canonical = wp_arena_copy(&ret_schema->arena, wp_buf_str(&canonical));
    ret_schema->canonical.len--;
    wp_buf_done(&canonical);
    return WP_OK;
}

void schema_done(struct schema *schema) {
    json_decref(schema->json);
    wp_arena_done(&schema->arena);
    *schema = (struct schema){0};
}
