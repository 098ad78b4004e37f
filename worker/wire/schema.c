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
    struct scan in; /* the text */
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

static const char *keep_text(struct parser *parser, struct wp_str text) {
    char *copy = keep(parser, text.len + 1);
    memcpy(copy, text.ptr, text.len);
    return copy;
}

/* The named member of an object; kind SCAN_NULL when there is none. */
static struct scan_value member(struct parser *parser, const struct scan_value *object, const char *name) {
    struct scan in = scan_inside(&parser->in, object);
    struct scan_value found = {.kind = SCAN_NULL}, key, value;
    bool there = false;
    if (!scan_open(&in, '{')) return found;
    while (scan_member(&in, &key, &value)) {
        if (!wp_str_is(scan_string(&key, &parser->schema->arena), name)) continue;
        if (there) refuse(parser, "an object has a key twice", name);
        there = true;
        found = value;
    }
    return found;
}

static size_t count_items(struct parser *parser, const struct scan_value *array) {
    struct scan in = scan_inside(&parser->in, array);
    struct scan_value item;
    size_t count = 0;
    if (array->kind != SCAN_ARRAY || !scan_open(&in, '[')) return 0;
    while (scan_item(&in, &item)) count++;
    return count;
}

/* A string of the schema, owned by its arena; NULL: the value is not a string. */
static const char *word_of(struct parser *parser, const struct scan_value *value) {
    if (value->kind != SCAN_STRING || value->lone) return NULL;
    struct wp_str word = scan_string(value, &parser->schema->arena);
    if (memchr(word.ptr, '\0', word.len))
        return (void *)refuse(parser, "a name has the character U+0000", NULL);
    return keep_text(parser, word);
}

/* Checks a name: [A-Za-z_][A-Za-z0-9_]*, with dots in a full name. NULL: it is not one. */
static const char *name_of(struct parser *parser, const struct scan_value *value, bool dots) {
    const char *name = word_of(parser, value);
    if (!name || !*name) return NULL;
    bool begins = true;
    for (const char *at = name; *at; at++) {
        char c = *at;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!(letter || (!begins && c >= '0' && c <= '9') || (dots && !begins && c == '.')))
            return (void *)refuse(parser, "a name has a character that Avro's names do not have", name);
        begins = c == '.';
    }
    if (begins) return (void *)refuse(parser, "a name ends with a dot", name);
    return name;
}

/* A name with a dot is a full name; any other belongs to the enclosing namespace. */
static const char *full_name(struct parser *parser, const char *name, const char *space) {
    if (strchr(name, '.') || !space || !*space) return name;
    size_t size = strlen(space) + 1 + strlen(name) + 1;
    char *full = wp_arena_alloc(&parser->schema->arena, size);
    snprintf(full, size, "%s.%s", space, name);
    return full;
}

static struct type *parse(struct parser *parser, const struct scan_value *json, const char *space);

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

static struct type *parse_union(struct parser *parser, const struct scan_value *json, const char *space) {
    struct type *type = new_type(parser, TYPE_UNION);
    struct scan in = scan_inside(&parser->in, json);
    struct scan_value branch;
    type->branches = keep(parser, count_items(parser, json) * sizeof(struct type *));
    for (scan_open(&in, '['); scan_item(&in, &branch); type->count++) {
        struct type *of = parse(parser, &branch, space);
        if (!of) return NULL;
        if (of->kind == TYPE_UNION) return refuse(parser, "a union holds another one", NULL);
        type->branches[type->count] = of;
    }
    return type->count ? type : refuse(parser, "a union has no branch", NULL);
}

static bool parse_field(struct parser *parser, struct type_field *field, const struct type *record,
                        const struct scan_value *json, const char *space) {
    struct scan_value name = member(parser, json, "name"), type = member(parser, json, "type");
    field->name = name_of(parser, &name, false);
    if (!field->name) return refuse(parser, "a record has a field without a name", record->name);
    field->fallback = member(parser, json, "default");
    field->has_fallback = field->fallback.text.ptr != NULL;
    field->type = parse(parser, &type, space);
    return field->type != NULL;
}

static struct type *parse_fields(struct parser *parser, struct type *type, const struct scan_value *fields,
                                 const char *space) {
    struct scan in = scan_inside(&parser->in, fields);
    struct scan_value field;
    if (fields->kind != SCAN_ARRAY) return refuse(parser, "a record has no list of fields", type->name);
    type->fields = keep(parser, count_items(parser, fields) * sizeof *type->fields);
    for (scan_open(&in, '['); scan_item(&in, &field); type->count++) {
        if (!parse_field(parser, &type->fields[type->count], type, &field, space)) return NULL;
    }
    return type;
}

static struct type *parse_symbols(struct parser *parser, struct type *type,
                                  const struct scan_value *symbols) {
    struct scan in = scan_inside(&parser->in, symbols);
    struct scan_value symbol;
    size_t count = count_items(parser, symbols);
    if (count == 0) return refuse(parser, "an enum has no symbol", type->name);
    type->symbols = keep(parser, count * sizeof *type->symbols);
    for (scan_open(&in, '['); scan_item(&in, &symbol); type->count++) {
        type->symbols[type->count] = name_of(parser, &symbol, false);
        if (!type->symbols[type->count]) return refuse(parser, "an enum's symbol is no text", type->name);
    }
    return type;
}

/* The namespace for names inside a named type: that of the type's full name. */
static const char *space_of(struct parser *parser, const char *name) {
    const char *dot = strrchr(name, '.');
    if (!dot) return "";
    char *space = wp_arena_alloc(&parser->schema->arena, (size_t)(dot - name) + 1);
    memcpy(space, name, (size_t)(dot - name));
    space[dot - name] = '\0';
    return space;
}

static struct type *parse_fixed(struct parser *parser, struct type *type, const struct scan_value *size) {
    int64_t bytes = -1;
    bool whole = size->kind == SCAN_NUMBER && !size->fraction && scan_long(size, &bytes);
    if (!whole || bytes < 0 || bytes > INT32_MAX)
        return refuse(parser, "a fixed has no size in bytes", type->name);
    type->count = (size_t)bytes;
    return type;
}

static struct type *parse_named(struct parser *parser, const struct scan_value *json, enum avro_type kind,
                                const char *space) {
    struct scan_value name_value = member(parser, json, "name"), own = member(parser, json, "namespace");
    const char *name = name_of(parser, &name_value, true), *own_space = word_of(parser, &own);
    if (own_space && *own_space) own_space = name_of(parser, &own, true); /* an empty one counts as none */
    if (!name) return refuse(parser, "it has a type without a name", kind_names[kind]);
    if (parser->named_count == NAMED_TYPES) return refuse(parser, "it has more than 256 named types", NULL);
    struct type *type = new_type(parser, kind);
    type->name = full_name(parser, name, own_space ? own_space : space);
    for (size_t i = 0; i < parser->named_count; i++) {
        if (strcmp(parser->named[i]->name, type->name) == 0)
            return refuse(parser, "it defines a type twice", type->name);
    }
    parser->named[parser->named_count++] = type;
    struct scan_value body = member(parser, json,
                                    kind == TYPE_ENUM     ? "symbols"
                                    : kind == TYPE_RECORD ? "fields"
                                                          : "size");
    if (kind == TYPE_ENUM) return parse_symbols(parser, type, &body);
    if (kind == TYPE_FIXED) return parse_fixed(parser, type, &body);
    return parse_fields(parser, type, &body, space_of(parser, type->name));
}

static struct type *parse_object(struct parser *parser, const struct scan_value *json, const char *space) {
    struct scan_value of = member(parser, json, "type");
    const char *word = word_of(parser, &of);
    if (!word) return parse(parser, &of, space);
    if (strcmp(word, "record") == 0) return parse_named(parser, json, TYPE_RECORD, space);
    if (strcmp(word, "enum") == 0) return parse_named(parser, json, TYPE_ENUM, space);
    if (strcmp(word, "fixed") == 0) return parse_named(parser, json, TYPE_FIXED, space);
    bool array = strcmp(word, "array") == 0;
    if (!array && strcmp(word, "map") != 0) return parse_word(parser, word, space);
    struct type *type = new_type(parser, array ? TYPE_ARRAY : TYPE_MAP);
    struct scan_value items = member(parser, json, array ? "items" : "values");
    type->items = parse(parser, &items, space);
    return type->items ? type : NULL;
}

static struct type *parse(struct parser *parser, const struct scan_value *json, const char *space) {
    if (parser->depth == DEEPEST_SCHEMA) return refuse(parser, "it is nested more than 64 deep", NULL);
    parser->depth++;
    struct type *type;
    const char *word = word_of(parser, json);
    if (word)
        type = parse_word(parser, word, space);
    else if (json->kind == SCAN_ARRAY)
        type = parse_union(parser, json, space);
    else if (json->kind == SCAN_OBJECT)
        type = parse_object(parser, json, space);
    else
        type = refuse(parser, "a type is missing, or is neither text, list nor object", NULL);
    parser->depth--;
    return parser->err ? NULL : type;
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

/* A named type is written in full once; later only its name is written. */
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

/* ---- the whole schema ---- */

static enum wp_err read_text(struct parser *parser, struct wp_str text, struct scan_value *ret_json) {
    struct wp_error inner;
    parser->in = scan_text(wp_arena_copy(&parser->schema->arena, text));
    if (scan_value(&parser->in, ret_json) && scan_ends(&parser->in)) return WP_OK;
    scan_fail(&parser->in, &inner);
    return wp_fail(parser->error, WP_ERR_CONFIG, "schema %s is no JSON: %s", parser->file, inner.text);
}

static void fingerprint(struct schema *schema) {
    struct wp_buf canonical = {0};
    write_canonical(schema->type, &canonical);
    schema->fingerprint = schema_crc64(wp_buf_str(&canonical));
    wp_buf_add(&canonical, "", 1);
    schema->canonical = wp_arena_copy(&schema->arena, wp_buf_str(&canonical));
    schema->canonical.len--;
    wp_buf_done(&canonical);
}

enum wp_err schema_parse(struct schema *ret_schema, const char *name, struct wp_str text,
                         struct wp_error *error) {
    *ret_schema = (struct schema){0};
    struct parser parser = {.schema = ret_schema, .file = name, .error = error};
    struct scan_value json;
    parser.err = read_text(&parser, text, &json);
    if (!parser.err) ret_schema->type = parse(&parser, &json, NULL);
    if (ret_schema->type && any_endless(&parser))
        refuse(&parser, "a record contains itself without end", NULL);
    if (parser.err)
        schema_done(ret_schema);
    else
        fingerprint(ret_schema);
    return parser.err;
}

void schema_done(struct schema *schema) {
    wp_arena_done(&schema->arena);
    *schema = (struct schema){0};
}
