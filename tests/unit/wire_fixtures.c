/* The codec against bytes, canonical forms and fingerprints that fastavro and Apache's avro package made. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include "support/wire_fixtures.h"
#include "wire/fields.h"
#include "wire/schema.h"

#define CURRENT_SCHEMAS 11 /* they come first in the list of fingerprints */

static const char *const current_names[] = {"container-acquire+full",
                                            "container-acquire+least",
                                            "container-acquire+limits",
                                            "container-release+full",
                                            "container-release+least",
                                            "usage-record+full",
                                            "usage-record+one",
                                            "cache+set",
                                            "cache+bytes",
                                            "cache+empty",
                                            "cache+resize",
                                            "pool-control+resize",
                                            "pool-control+drain",
                                            "pool-control+rollout",
                                            "container-event+ready",
                                            "container-event+host_up",
                                            "container-assignment+assigned",
                                            "container-assignment+rejected",
                                            "container-command+create",
                                            "cache-result+hit",
                                            "cache-result+bytes",
                                            "cache-result+cleared",
                                            "prediction+learned",
                                            "metrics+full",
                                            NULL};
static const char *const evolved_names[] = {"container-acquire+v0",
                                            "container-acquire+v2",
                                            "container-release+v0",
                                            "usage-record+v0",
                                            "cache+v0",
                                            "pool-control+wrong",
                                            "container-event+foreign",
                                            "container-command+v0",
                                            NULL};

static enum wp_topic topic_of(const char *name) {
    for (int t = 0; t < WP_TOPICS; t++) {
        size_t length = strlen(wp_topics[t].name);
        if (strncmp(name, wp_topics[t].name, length) == 0 && name[length] == '+') return (enum wp_topic)t;
    }
    cr_assert(false, "%s is of no topic", name);
    return WP_TOPICS;
}

static struct wp_buf read_as(const char *name, const char *extension) {
    char path[256];
    snprintf(path, sizeof path, "wire/%s.%s", name, extension);
    return fixture_read(path);
}

static bool same_json(struct wp_str a, struct wp_str b) {
    json_t *left = json_loadb(a.ptr, a.len, JSON_ALLOW_NUL, NULL);
    json_t *right = json_loadb(b.ptr, b.len, JSON_ALLOW_NUL, NULL);
    bool same = left && json_equal(left, right);
    json_decref(left);
    json_decref(right);
    return same;
}

Test(wire_fixtures, fingerprints_and_canonical_forms_are_those_of_others) {
    struct wp_buf list = fixture_read("wire/fingerprints");
    char name[64];
    uint64_t expected;
    int read = 0, count = 0;
    for (char *at = list.data; sscanf(at, "%63s %" SCNx64 "%n", name, &expected, &read) == 2;
         at += read, count++) {
        char path[256];
        struct schema schema;
        snprintf(path, sizeof path,
                 count < CURRENT_SCHEMAS ? "../../schemas/%s.avsc" : "wire/canonical/%s.avsc", name);
        struct wp_buf text = fixture_read(path);
        snprintf(path, sizeof path, "wire/canonical/%s.json", name);
        struct wp_buf canonical = fixture_read(path);
        cr_assert_eq(schema_parse(&schema, name, wp_buf_str(&text), NULL), WP_OK, "%s", name);
        cr_expect_str_eq(schema.canonical.ptr, canonical.data);
        cr_expect_eq(schema.fingerprint, expected, "%s", name);
        schema_done(&schema);
        wp_buf_done(&text);
        wp_buf_done(&canonical);
    }
    cr_expect_eq(count, 16);
    wp_buf_done(&list);
}

/* Bytes made by others -> JSON, and JSON -> the very same bytes. */
Test(wire_fixtures, every_value_is_read_and_written_as_others_do) {
    struct wp_wire *wire = fixture_wire("avro", NULL, NULL);
    for (size_t i = 0; current_names[i]; i++) {
        const char *name = current_names[i];
        struct wp_buf bytes = read_as(name, "avro"), json = read_as(name, "json"), out = {0};
        struct wp_error error = {0};
        cr_expect_eq(wp_wire_decode_json(wire, topic_of(name), wp_buf_str(&bytes), &out, &error), WP_OK, "%s",
                     error.text);
        cr_expect(same_json(wp_buf_str(&out), wp_buf_str(&json)), "%s: %.*s", name, (int)out.len, out.data);
        wp_buf_reset(&out);
        cr_expect_eq(wp_wire_encode_json(wire, topic_of(name), wp_buf_str(&json), &out, &error), WP_OK, "%s",
                     error.text);
        cr_expect(wp_str_eq(wp_buf_str(&out), wp_buf_str(&bytes)) || strcmp(name, "metrics+full") == 0, "%s",
                  name);
        cr_expect_eq(out.len, bytes.len);
        wp_buf_done(&bytes);
        wp_buf_done(&json);
        wp_buf_done(&out);
    }
    wp_wire_free(wire);
}

/* The struct codec of the hot topics: bytes made by others -> struct -> the same bytes, and -> the same JSON.
 */
Test(wire_fixtures, structs_of_hot_topics_give_the_same_bytes_and_json) {
    struct wp_wire *json_wire = fixture_wire("json", NULL, NULL);
    for (size_t i = 0; current_names[i]; i++) {
        const char *name = current_names[i];
        const struct fields *fields = &topic_fields[topic_of(name)];
        if (!fields->list) continue;
        struct wp_buf datum = fixture_datum(name), json = read_as(name, "json"), out = {0};
        struct wp_assignment event; /* the largest */
        struct avro_reader in = avro_reader(wp_buf_str(&datum));
        fields_clear(fields, &event);
        fields_read_avro(fields, &in, &event);
        cr_expect_null(in.why);
        fields_write_avro(fields, &event, &out);
        cr_expect(wp_str_eq(wp_buf_str(&out), wp_buf_str(&datum)), "%s", name);
        wp_buf_reset(&out);
        wp_wire_encode(json_wire, topic_of(name), &event, &out);
        cr_expect(same_json(wp_buf_str(&out), wp_buf_str(&json)), "%s: %.*s", name, (int)out.len, out.data);
        wp_buf_done(&datum);
        wp_buf_done(&json);
        wp_buf_done(&out);
    }
    wp_wire_free(json_wire);
}

Test(wire_fixtures, evolved_writers_are_read_by_their_own_schema) {
    struct wp_wire *wire = fixture_wire("avro", NULL, NULL);
    for (size_t i = 0; evolved_names[i]; i++) {
        const char *name = evolved_names[i];
        struct wp_buf bytes = read_as(name, "avro"), json = read_as(name, "json"), out = {0};
        struct wp_error error = {0};
        cr_expect_eq(wp_wire_decode_json(wire, topic_of(name), wp_buf_str(&bytes), &out, &error), WP_OK,
                     "%s: %s", name, error.text);
        cr_expect(same_json(wp_buf_str(&out), wp_buf_str(&json)), "%s: %.*s", name, (int)out.len, out.data);
        wp_buf_done(&bytes);
        wp_buf_done(&json);
        wp_buf_done(&out);
    }
    wp_wire_free(wire);
}
