/* Schemas that are refused, and datums of any schema: what a hostile or odd one may do. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/base64.h"
#include "support/wire_fixtures.h"
#include "wire/datum.h"
#include "wire/text.h"

static enum wp_err parse(struct schema *schema, const char *json, struct wp_error *error) {
    return schema_parse(schema, "test.avsc", wp_str(json), error);
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"

Test(wire_schema, what_is_no_schema_is_refused_with_the_reason) {
    static const char *const wrong[][2] = {
        {"{", "is no JSON"},
        {"5", "neither text, list nor object"},
        {"\"Unknown\"", "does not define before: Unknown"},
        {"[]", "a union has no branch"},
        {"[\"int\",[\"null\"]]", "a union holds another"},
        {"[\"nope\"]", "nope"},
        {"{\"type\":\"record\",\"fields\":[]}", "without a name: record"},
        {"{\"type\":\"record\",\"name\":\"R\"}", "no list of fields: R"},
        {RECORD("{\"type\":\"int\"}"), "a field without a name: R"},
        {RECORD("{\"name\":\"a\"}"), "a type is missing"},
        {RECORD("{\"name\":\"a\",\"type\":\"R\"}"), "contains itself without end"},
        {RECORD("{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"R\",\"size\":1}}"),
         "defines a type twice: R"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}", "no symbol: E"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[1]}", "symbol is no text: E"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "no size in bytes: F"},
        {"{\"type\":\"fixed\",\"name\":\"F\"}", "no size in bytes: F"},
        {"{\"type\":\"array\"}", "a type is missing"},
        {"{\"type\":\"map\",\"values\":7}", "a type is missing"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct schema schema;
        struct wp_error error = {0};
        cr_expect_eq(parse(&schema, wrong[i][0], &error), WP_ERR_CONFIG, "%s", wrong[i][0]);
        cr_expect(strstr(error.text, wrong[i][1]), "\"%s\" does not say \"%s\"", error.text, wrong[i][1]);
    }
}

Test(wire_schema, nesting_is_limited) {
    struct wp_buf json = {0};
    struct schema schema;
    struct wp_error error = {0};
    for (int i = 0; i < 80; i++) wp_buf_add_str(&json, "{\"type\":\"array\",\"items\":");
    wp_buf_add_str(&json, "\"int\"");
    for (int i = 0; i < 80; i++) wp_buf_add_str(&json, "}");
    wp_buf_add(&json, "", 1);
    cr_expect_eq(parse(&schema, json.data, &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "64 deep"), "%s", error.text);
    wp_buf_done(&json);
}

/* ---- datums ---- */

/* The datum as JSON, or the error; freed by the caller. */
static char *to_json(const char *schema_json, const char *datum, size_t len) {
    struct schema schema;
    struct wp_error error = {0};
    struct wp_buf out = {0};
    cr_assert_eq(parse(&schema, schema_json, &error), WP_OK, "%s", error.text);
    if (datum_to_json(schema.type, (struct wp_str){datum, len}, &out, &error))
        wp_buf_add_str(&out, error.text);
    wp_buf_add(&out, "", 1);
    schema_done(&schema);
    return out.data;
}

#define LINKED                                                                                               \
    "{\"type\":\"record\",\"name\":\"Node\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"Node\"]}]}"

Test(wire_schema, datums_that_claim_too_much_are_refused) {
    static const struct {
        const char *schema, *datum;
        size_t len;
        const char *says;
    } hostile[] = {
        {"{\"type\":\"array\",\"items\":\"null\"}", "\x80\xda\xc4\x09\x00", 5, "claims more items"},
        {"{\"type\":\"array\",\"items\":\"null\"}", "\x81\xda\xc4\x09\x00\x00", 6, "claims more items"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "\x01\x7e\x00", 3, "impossible size"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "\x01\x01\x00", 3, "impossible size"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00", 12,
         "impossible size"},
        {"{\"type\":\"map\",\"values\":\"int\"}", "\x02\x02\xff\x02\x00", 5, "key is not UTF-8"},
        {"\"string\"", "\x02\xff", 2, "string is not UTF-8"},
        {"\"int\"", "\x80\x80\x80\x80\x20", 5, "more than 32 bits"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\x02", 1, "no branch"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}", "abc", 3, "past the end"},
        {"\"bytes\"", "\x08", 1, "past the end"},
        {"\"float\"", "abc", 3, "past the end"},
        {"\"null\"", "a", 1, "bytes follow its end"},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        char *text = to_json(hostile[i].schema, hostile[i].datum, hostile[i].len);
        cr_expect(strstr(text, hostile[i].says), "%zu: \"%s\" does not say \"%s\"", i, text, hostile[i].says);
        free(text);
    }
}

Test(wire_schema, a_chain_without_end_is_refused) {
    char datum[100];
    memset(datum, 2, sizeof datum);
    char *text = to_json(LINKED, datum, sizeof datum);
    cr_expect(strstr(text, "64 deep"), "%s", text);
    free(text);
    datum[10] = 0;
    text = to_json(LINKED, datum, 11);
    cr_expect(strstr(text, "{\"next\":{}}"), "%s", text);
    free(text);
}

/* Each of 300 items takes one byte and holds 100 values of none. */
Test(wire_schema, values_that_take_no_byte_are_limited) {
    struct wp_buf schema = {0}, datum = {0};
    wp_buf_add_str(&schema, "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"R\",\"fields\":[{"
                            "\"name\":\"x\",\"type\":\"boolean\"}");
    for (int i = 0; i < 100; i++) wp_buf_printf(&schema, ",{\"name\":\"n%d\",\"type\":\"null\"}", i);
    wp_buf_add(&schema, "]}}", 4);
    wp_buf_add_str(&datum, "\xd8\x04");
    memset(wp_buf_reserve(&datum, 301), 0, 301);
    datum.len += 301;
    char *text = to_json(schema.data, datum.data, datum.len);
    cr_expect(strstr(text, "more values than its bytes can hold"), "%s", text);
    free(text);
    wp_buf_done(&schema);
    wp_buf_done(&datum);
}

/* JSON -> datum -> the same JSON, for every type. */
Test(wire_schema, every_type_goes_from_json_and_back) {
    static const char *const pairs[][2] = {
        {"\"null\"", "null"},
        {"\"boolean\"", "true"},
        {"\"int\"", "-7"},
        {"\"long\"", "-9223372036854775808"},
        {"\"float\"", "0.5"},
        {"\"double\"", "1e+300"},
        {"\"bytes\"", "\"text\""},
        {"\"string\"", "\"a\\u0001b\""},
        {"[\"null\",\"long\"]", "8"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "\"B\""},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "\"abc\""},
        {"{\"type\":\"array\",\"items\":\"int\"}", "[1,2,3]"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "[]"},
        {"{\"type\":\"map\",\"values\":[\"null\",\"string\"]}", "{\"a\":null}"},
        {RECORD("{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}},{\"name\":\"b\","
                "\"type\":\"bytes\"}"),
         "{\"f\":\"xy\",\"b\":\"z\"}"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct schema schema;
        struct wp_error error = {0};
        struct wp_buf datum = {0}, out = {0};
        struct scan json = scan_text(wp_str(pairs[i][1]));
        cr_assert_eq(parse(&schema, pairs[i][0], &error), WP_OK, "%s", error.text);
        cr_assert_eq(datum_from_json(schema.type, &json, &datum, &error), WP_OK, "%s: %s", pairs[i][0],
                     error.text);
        cr_assert_eq(datum_to_json(schema.type, wp_buf_str(&datum), &out, &error), WP_OK, "%s", error.text);
        cr_expect(wp_str_is(wp_buf_str(&out), pairs[i][1]), "%.*s", (int)out.len, out.data);
        schema_done(&schema);
        wp_buf_done(&datum);
        wp_buf_done(&out);
    }
}

Test(wire_schema, a_map_that_has_a_key_twice_is_refused) {
    static const char once[] = "\4\2a\2\2b\4", twice[] = "\4\2a\2\2a\4";
    char *json = to_json("{\"type\":\"map\",\"values\":\"int\"}", once, sizeof once);
    cr_expect_str_eq(json, "{\"a\":1,\"b\":2}");
    free(json);
    json = to_json("{\"type\":\"map\",\"values\":\"int\"}", twice, sizeof twice);
    cr_expect(strstr(json, "a map has a key twice"), "%s", json);
    free(json);
}

Test(wire_schema, json_that_does_not_fit_is_refused) {
    static const char *const pairs[][2] = {
        {"\"int\"", "2147483648"},
        {"\"int\"", "1.5"},
        {"\"boolean\"", "1"},
        {"[\"null\",\"long\"]", "\"8\""},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\"C\""},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "\"ab\""},
        {"{\"type\":\"array\",\"items\":\"int\"}", "[1,true]"},
        {"{\"type\":\"array\",\"items\":\"int\"}", "{}"},
        {"{\"type\":\"map\",\"values\":\"int\"}", "{\"a\":\"b\"}"},
        {"{\"type\":\"map\",\"values\":\"int\"}", "[]"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct schema schema;
        struct wp_error error = {0};
        struct wp_buf datum = {0};
        struct scan json = scan_text(wp_str(pairs[i][1]));
        cr_assert_eq(parse(&schema, pairs[i][0], &error), WP_OK, "%s", error.text);
        cr_expect_eq(datum_from_json(schema.type, &json, &datum, &error), WP_ERR_DATA, "%s %s", pairs[i][0],
                     pairs[i][1]);
        cr_expect_eq(datum.len, 0);
        schema_done(&schema);
        wp_buf_done(&datum);
    }
}

Test(wire_schema, base64_is_that_of_the_rfc) {
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < 7; i++) {
        struct wp_buf out = {0}, back = {0};
        wp_base64_encode(&out, wp_str(pairs[i][0]));
        cr_expect(wp_str_is(wp_buf_str(&out), pairs[i][1]));
        cr_expect(wp_base64_decode(&back, wp_str(pairs[i][1])) && wp_str_is(wp_buf_str(&back), pairs[i][0]));
        wp_buf_done(&out);
        wp_buf_done(&back);
    }
    struct wp_buf out = {0};
    cr_expect_not(wp_base64_decode(&out, WP_STR("Zg==Zg==")));
    cr_expect_not(wp_base64_decode(&out, WP_STR("=g==")));
    cr_expect_not(wp_base64_decode(&out, (struct wp_str){"Zg\0=", 4}));
    wp_buf_done(&out);
}

/* ---- the folder wire.schemas ---- */

/* A writer's schema of acquire with one more field. */
static void expect_folder_read(const char *more) {
    char folder[] = "/tmp/warmpool-schemas-XXXXXX", path[256];
    struct wp_config config;
    struct wp_error error = {0};
    struct wp_wire *wire = NULL;
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/odd.avsc", folder);
    FILE *out = fopen(path, "we");
    cr_assert(out);
    fprintf(out,
            "{\"type\":\"record\",\"name\":\"ContainerAcquire\",\"namespace\":\"warmpool\",\"fields\":["
            "{\"name\":\"request_id\",\"type\":\"string\"},%s]}",
            more);
    fclose(out);
    wp_config_init(&config);
    cr_assert_eq(wp_config_set(&config, "wire.schemas", folder, &error), WP_OK);
    cr_expect_eq(wp_wire_new(&wire, &config, &error), WP_OK, "%s: %s", more, error.text);
    wp_wire_free(wire);
    wp_config_done(&config);
    unlink(path);
    rmdir(folder);
}

/* Defaults, attributes and documents are not read of a writer's schema, so they may be what JSON allows. */
Test(wire_schema, odd_but_legal_schemas_of_writers_are_read) {
    static const char *const fields[] = {
        "{\"name\":\"a\",\"type\":\"string\",\"default\":\"\\u0000\"}",
        "{\"name\":\"a\",\"type\":\"bytes\",\"default\":\"\\u00ff\\u0000\"}",
        "{\"name\":\"a\",\"type\":\"string\",\"default\":\"\\ud800\"}",
        "{\"name\":\"a\",\"type\":\"double\",\"default\":1e400}",
        "{\"name\":\"a\",\"type\":\"double\",\"default\":123456789012345678901234567890}",
        "{\"name\":\"a\",\"type\":\"long\",\"unit\":123456789012345678901234567890,\"doc\":\"\\u0000\"}",
        "{\"name\":\"a\",\"type\":[\"string\",\"null\"],\"default\":\"\\u0000\"}",
        "{\"name\":\"a\",\"type\":{\"type\":\"map\",\"values\":\"string\"},\"default\":{\"\\u0000\":"
        "\"\\u0000\"}}",
        "{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":"
        "\"B\"},"
        "\"aliases\":[\"b\"],\"order\":\"ignore\"}",
        "{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"other.F\",\"size\":2,\"aliases\":[\"x.y\"]},"
        "\"default\":\"\\u0000\\u00ff\"}",
        "{\"name\":\"a\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":"
        "2}}",
        "{\"name\":\"a\",\"type\":[\"null\",\"ContainerAcquire\"],\"default\":null}",
        "{\"name\":\"a\",\"type\":[\"null\",\"warmpool.ContainerAcquire\"]},{\"name\":\"b\",\"type\":"
        "{\"type\":\"array\",\"items\":\"ContainerAcquire\"},\"default\":[]}",
        "{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"Empty\",\"fields\":[]},\"default\":{}}",
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) expect_folder_read(fields[i]);
    struct wp_buf huge = {0};
    wp_buf_add_str(&huge, "{\"name\":\"a\",\"type\":\"string\",\"default\":\"");
    for (int i = 0; i < 300000; i++) wp_buf_add_str(&huge, "x");
    wp_buf_add(&huge, "\"}", 3);
    expect_folder_read(huge.data);
    wp_buf_done(&huge);
}

static void expect_folder_refused(const char *file, const char *text, const char *reason) {
    char folder[] = "/tmp/warmpool-schemas-XXXXXX", path[256];
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "we");
    cr_assert(out);
    fputs(text, out);
    fclose(out);
    char *error = fixture_wire_error(folder, "avro", NULL);
    cr_expect(strstr(error, reason), "\"%s\" does not say \"%s\"", error, reason);
    free(error);
    unlink(path);
    rmdir(folder);
}

/* One sentence names the file, what is wrong and what to do. */
Test(wire_schema, a_folder_with_a_wrong_schema_stops_the_start) {
    expect_folder_refused("m.avsc", "{\"type\":", "mend the file, or take it out of the folder wire.schemas");
    expect_folder_refused("n.avsc", "\xef\xbb\xbf{}", "byte order mark");
    expect_folder_refused("o.avsc", "{\"type\":\"record\",\"name\":\"R\",\"name\":\"S\",\"fields\":[]}",
                          "an object has a key twice: name");
    expect_folder_refused("p.avsc", "{\"type\":\"record\",\"name\":\"R\\u0000\",\"fields\":[]}", "U+0000");
    expect_folder_refused("r.avsc", "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a]\",\"fields\":[]}",
                          "a character that Avro's names do not have: a]");
    expect_folder_refused("q.avsc", "{\"type\":\"record\",\"name\":\"a \\\"b\",\"fields\":[]}",
                          "a character that Avro's names do not have");
    expect_folder_refused("a.avsc", "{", "schema a.avsc is no JSON");
    expect_folder_refused("cache.avsc", "\"int\"", "must be a record");
    expect_folder_refused("b.avsc", RECORD(""), "no topic has a record R");
}
