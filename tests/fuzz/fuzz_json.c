/* libFuzzer target: any bytes as JSON text, against jansson, and as an Avro schema. Seeds are the schemas and
 * the fixtures in JSON. */
#include <jansson.h>
#include "wire/scan.h"
#include "wire/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct scan *whole, const struct scan_value *value, struct wp_arena *arena,
                  unsigned depth) {
    struct scan in = scan_inside(whole, value);
    struct scan_value key, item;
    struct scan_words words;
    int64_t number;
    wp_assert(value->text.ptr >= whole->begin && value->text.ptr + value->text.len <= whole->end);
    wp_assert(*scan_describe(value, &words));
    if (value->kind == SCAN_STRING && !value->lone) wp_assert(wp_str_is_utf8(scan_string(value, arena)));
    if (value->kind == SCAN_NUMBER && !value->fraction) (void)scan_long(value, &number);
    if (value->kind == SCAN_NUMBER) (void)scan_double(value);
    if (depth == 8) return; /* each level reads what is inside again */
    if (scan_open(&in, '{'))
        while (scan_member(&in, &key, &item)) {
            visit(whole, &key, arena, depth + 1);
            visit(whole, &item, arena, depth + 1);
        }
    else if (scan_open(&in, '['))
        while (scan_item(&in, &item)) visit(whole, &item, arena, depth + 1);
    wp_assert(!in.why); /* it was read as a whole before */
}

/* Without white space it is still the same, and takes no more away. */
static void check_compact(struct wp_str text) {
    struct wp_buf once = {0}, twice = {0};
    struct scan_value value;
    scan_compact(text, &once);
    struct scan in = scan_text(wp_buf_str(&once));
    wp_assert(scan_value(&in, &value) && scan_ends(&in));
    scan_compact(wp_buf_str(&once), &twice);
    wp_assert(wp_str_eq(wp_buf_str(&once), wp_buf_str(&twice)));
    wp_buf_done(&once);
    wp_buf_done(&twice);
}

static void check_json(struct wp_str text) {
    struct wp_arena arena = {0};
    struct wp_error error;
    struct scan in = scan_text(text);
    struct scan_value value;
    json_t *json = json_loadb(text.len ? text.ptr : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (scan_value(&in, &value) && scan_ends(&in)) {
        visit(&in, &value, &arena, 0);
        check_compact(value.text);
        if (json && value.kind == SCAN_STRING)
            wp_assert(wp_str_eq(scan_string(&value, &arena),
                                (struct wp_str){json_string_value(json), json_string_length(json)}));
        if (json && value.kind == SCAN_NUMBER) wp_assert(scan_double(&value) == json_number_value(json));
    } else {
        wp_assert(!json && scan_fail(&in, &error) == WP_ERR_DATA && in.at >= in.begin && in.at <= in.end);
    }
    json_decref(json);
    wp_arena_done(&arena);
}

/* The canonical form of a schema is JSON, whatever its names are. */
static void check_schema(struct wp_str text) {
    struct schema schema;
    struct wp_error error;
    if (schema_parse(&schema, "fuzz", text, &error)) return;
    struct scan in = scan_text(schema.canonical);
    struct scan_value value;
    wp_assert(scan_value(&in, &value) && scan_ends(&in));
    schema_done(&schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wp_str text = {(const char *)data, size};
    check_json(text);
    if (size < 20000) check_schema(text);
    return 0;
}
