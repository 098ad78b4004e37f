/* Events as JSON: what numbers, keys and strings may be where, and that a value is the text that was sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/wire_fixtures.h"
#include "wire/avro.h"

static struct wp_wire *wire;
static struct wp_arena arena;
static union wp_event event;
static struct wp_error error;

static void start(void) {
    wire = fixture_wire("avro", NULL, NULL);
}
static void stop(void) {
    wp_arena_done(&arena);
    wp_wire_free(wire);
}
TestSuite(wire_json, .init = start, .fini = stop);

static enum wp_err decode(enum wp_topic topic, struct wp_str json) {
    error = (struct wp_error){0};
    memset(&event, 0xaa, sizeof event);
    return wp_wire_decode(wire, topic, json, &arena, &event, &error);
}
static void expect_str(struct wp_str text, const char *expected) {
    cr_expect(wp_str_is(text, expected), "%.*s is not %s", (int)text.len, text.ptr, expected);
}
static void expect_refused(enum wp_topic topic, const char *json, const char *reason) {
    cr_expect_eq(decode(topic, wp_str(json)), WP_ERR_DATA, "%s", json);
    cr_expect(strstr(error.text, reason), "%s: \"%s\" does not say \"%s\"", json, error.text, reason);
}
/* And it can be answered, since its request_id was read. */
static void expect_answered(const char *json, const char *reason) {
    expect_refused(WP_TOPIC_ACQUIRE, json, reason);
    expect_str(event.acquire.request_id, "r");
}

#define ACQUIRE(more) "{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"p\"," more "}"
#define SET(more) "{\"event_id\":\"e\",\"op\":\"set\",\"key\":\"k\"," more "}"
#define HUGE_INTEGER "123456789012345678901234567890"

Test(wire_json, a_number_outside_its_fields_range_is_that_fields_error) {
    expect_answered(ACQUIRE("\"timeout_ms\":" HUGE_INTEGER),
                    "field timeout_ms must be 0 to 86400000, not " HUGE_INTEGER);
    expect_answered(ACQUIRE("\"lease_ms\":-9223372036854775809"),
                    "field lease_ms must be 0 to 2678400000, not -9223372036854775809");
    expect_answered(ACQUIRE("\"lease_ms\":-9223372036854775808"), "not -9223372036854775808");
    expect_answered(ACQUIRE("\"cpu_percent\":1e400"), "field cpu_percent must be 0 to 10000000, not 1e400");
    expect_answered(ACQUIRE("\"memory_mb\":-1e400"), "field memory_mb must be 0 to 10000000, not -1e400");
    expect_answered(ACQUIRE("\"memory_mb\":" HUGE_INTEGER),
                    "field memory_mb must be 0 to 10000000, not 1.234");
    expect_answered(ACQUIRE("\"timeout_ms\":1e2"), "field timeout_ms must be an integer, not 1e2");
    expect_answered(ACQUIRE("\"tenant\":" HUGE_INTEGER), "field tenant must be a string, not " HUGE_INTEGER);
    expect_answered("{\"request_id\":\"r\",\"agent_id\":1e400,\"philosophy\":\"p\"}",
                    "field agent_id must be a string");
    expect_refused(WP_TOPIC_CACHE, SET("\"value\":1,\"ttl_seconds\":" HUGE_INTEGER),
                   "field ttl_seconds must be 0 to 3153600000, not " HUGE_INTEGER);
    expect_refused(WP_TOPIC_USAGE, "{\"agent_id\":\"a\",\"philosophy\":\"p\",\"execution_time\":1e400}",
                   "field execution_time must be 0 to 10000000, not 1e400");
    expect_refused(WP_TOPIC_CONTROL, "{\"philosophy\":\"p\",\"op\":\"resize\",\"count\":" HUGE_INTEGER "}",
                   "field count must be 0 to 1000000, not " HUGE_INTEGER);
}

Test(wire_json, any_number_passes_where_no_field_reads_it) {
    cr_assert_eq(
        decode(WP_TOPIC_ACQUIRE, WP_STR(ACQUIRE("\"trace\":" HUGE_INTEGER ",\"x\":{\"y\":[1e400,-1E+999]}"))),
        WP_OK, "%s", error.text);
    expect_str(event.acquire.request_id, "r");
    cr_assert_eq(decode(WP_TOPIC_ACQUIRE, WP_STR(ACQUIRE("\"memory_mb\":1e-400"))), WP_OK, "%s", error.text);
    cr_expect_float_eq(event.acquire.memory_mb, 0, 0);
    cr_assert_eq(
        decode(WP_TOPIC_USAGE, WP_STR("{\"agent_id\":\"a\",\"philosophy\":\"p\",\"cpu_percent\":"
                                      "45.50000000000000000000000000000000000000000000000000000000000000"
                                      "000000000000000000000000000000000000000000000000}")),
        WP_OK, "%s", error.text);
    cr_expect_float_eq(event.usage.cpu_percent, 45.5, 0);
}

Test(wire_json, a_value_is_the_text_that_was_sent) {
    static const char *const values[] = {
        HUGE_INTEGER,
        "1e400",
        "0.10000000000000000000000000001",
        "-0",
        "{ \"z\" : 1.0,\n\t\"a\": [ 1e5 , 1E-400 ],\"a\":null }",
        "[\"\\ud800\", \"\\u0041\"]",
        "true",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"value\" : %s ,\"event_id\":\"e\",\"op\":\"set\",\"key\":\"k\"}",
                 values[i]);
        cr_assert_eq(decode(WP_TOPIC_CACHE, wp_str(json)), WP_OK, "%s: %s", json, error.text);
        cr_expect(event.cache.has_value);
        expect_str(event.cache.value, values[i]);
    }
}

Test(wire_json, a_string_value_is_its_characters) {
    cr_assert_eq(
        decode(WP_TOPIC_CACHE,
               WP_STR(SET(
                   "\"value\":\"\\u0000\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00h\xc3\xa9\""))),
        WP_OK, "%s", error.text);
    cr_expect(wp_str_eq(event.cache.value,
                        WP_STR("\0\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80h\xc3\xa9")));
    cr_assert_eq(decode(WP_TOPIC_CACHE, WP_STR(SET("\"value\":null,\"value_base64\":\"AP+A\""))), WP_OK);
    cr_expect(wp_str_eq(event.cache.value, WP_STR("\0\xff\x80")));
    cr_assert_eq(decode(WP_TOPIC_CACHE, WP_STR(SET("\"value_base64\":\"AP+A\",\"value\":7"))), WP_OK);
    cr_expect(wp_str_eq(event.cache.value, WP_STR("\0\xff\x80")), "in any order");
}

Test(wire_json, a_claims_entry_is_its_characters_or_the_text_that_was_sent) {
    static const char *const expected[][2] = {
        {"token", "s\"1"}, {"budget", "1e400"}, {"task", "{ \"n\": " HUGE_INTEGER " }"}};
    cr_assert_eq(
        decode(WP_TOPIC_ACQUIRE, WP_STR(ACQUIRE("\"claim\":{\"token\":\"s\\\"1\", \"budget\" : 1e400,"
                                                "\"task\":{ \"n\": " HUGE_INTEGER " }}"))),
        WP_OK, "%s", error.text);
    struct avro_map map = {.in = avro_reader(event.acquire.claim)};
    struct wp_str key, value;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(avro_map_next(&map, &key, &value));
        expect_str(key, expected[i][0]);
        expect_str(value, expected[i][1]);
    }
    cr_expect_not(avro_map_next(&map, &key, &value));
}

Test(wire_json, a_repeated_key_is_named_with_its_place) {
    expect_answered(ACQUIRE("\"timeout_ms\":1,\"timeout_ms\":2"),
                    "the key \"timeout_ms\" more than once: again at offset 65");
    expect_answered(ACQUIRE("\"x\":1,\"y\":1,\"\\u0078\":2"),
                    "the key \"x\" more than once: again at offset 62");
    expect_answered(ACQUIRE("\"agent_id\":\"b\""), "the key \"agent_id\" more than once");
    cr_expect_eq(event.acquire.agent_id.len, 0, "nobody knows whose it is");
    expect_refused(WP_TOPIC_ACQUIRE, ACQUIRE("\"request_id\":\"s\""),
                   "the key \"request_id\" more than once");
    cr_expect_eq(event.acquire.request_id.len, 0, "nobody knows which it is");
    expect_refused(WP_TOPIC_CACHE, SET("\"value\":1,\"value\":1"), "the key \"value\" more than once");
    expect_answered(ACQUIRE("\"claim\":{\"secret\":\"1\",\"b\":\"2\",\"secret\":\"3\"}"),
                    "field claim must have each key once, but that of its entry 3");
    cr_expect_not(strstr(error.text, "secret"));
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, WP_STR(ACQUIRE("\"x\":{\"y\":1,\"y\":1}"))), WP_OK, "%s",
                 error.text);
}

Test(wire_json, very_many_keys_cost_no_more_than_their_bytes) {
    struct wp_buf json = {0};
    wp_buf_add_str(&json, "{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"p\"");
    for (int i = 0; i < 100000; i++) wp_buf_printf(&json, ",\"%d\":0", i);
    wp_buf_add_str(&json, "}");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, wp_buf_str(&json)), WP_OK, "%s", error.text);
    json.len--;
    wp_buf_add_str(&json, ",\"500\":0}");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, wp_buf_str(&json)), WP_ERR_DATA);
    cr_expect(strstr(error.text, "the key \"500\" more than once"), "%s", error.text);
    wp_buf_done(&json);
}

Test(wire_json, a_byte_order_mark_is_named_and_the_request_answered) {
    expect_answered("\xef\xbb\xbf" ACQUIRE("\"timeout_ms\":1"), "byte order mark (EF BB BF at offset 0)");
    expect_refused(WP_TOPIC_ACQUIRE, "\xff\xfe{", "byte order mark of UTF-16");
    expect_refused(WP_TOPIC_ACQUIRE, "\xef\xbb\xbf", "byte order mark");
}

Test(wire_json, a_lone_surrogate_is_named_where_characters_are_needed) {
    expect_answered(ACQUIRE("\"tenant\":\"a\\ud800\""),
                    "field tenant must be UTF-8, not a string with a lone surrogate (\\ud800 at offset 61)");
    expect_answered(ACQUIRE("\"tenant\":\"\\uDC00\\ud800\""), "\\uDC00 at offset 60");
    expect_answered(ACQUIRE("\"claim\":{\"secret\":\"\\ud800\\u0041\"}"),
                    "field claim must be UTF-8, not a string with a lone surrogate");
    expect_refused(WP_TOPIC_ACQUIRE, "{\"agent_id\":\"a\",\"philosophy\":\"p\",\"request_id\":\"\\ud800\"}",
                   "field request_id");
    cr_expect_eq(event.acquire.request_id.len, 0);
    expect_refused(WP_TOPIC_CACHE, SET("\"value\":\"\\ud800\""), "field value must be UTF-8");
    expect_answered(ACQUIRE("\"\\ud800\":1"), "a key has a lone surrogate");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, WP_STR(ACQUIRE("\"x\":\"\\ud800\",\"y\":[\"\\udfff\"]"))), WP_OK,
                 "%s", error.text);
}

Test(wire_json, what_an_id_cannot_have_is_named_with_its_place) {
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"a\\u0000b\",\"philosophy\":\"p\"}",
                    "field agent_id must be 1 to 256 bytes of UTF-8 without control characters, not a text "
                    "with the control character U+0000 at byte 1");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"\xc3\xa9\\u0085\",\"philosophy\":\"p\"}",
                    "U+0085 at byte 2");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"\",\"philosophy\":\"p\"}", "not empty");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"a b\"}", "not \"a b\"");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"a\\u0000\"}",
                    "U+0000 at byte 1");
    expect_refused(WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"get\",\"key\":\"a\\u007f\"}",
                   "field key must be 1 to 512 bytes of UTF-8 without control characters, not a text with "
                   "the control character U+007F at byte 1");
    expect_answered(ACQUIRE("\"claim\":{\"a\\u0000\":\"\"}"), "field claim must have keys of 1 to 256 bytes");
}

Test(wire_json, malformed_text_is_refused_where_it_is_and_what_came_before_is_read) {
    expect_answered("{\"request_id\":\"r\",\n \"agent_id\":\"a\x01\"}",
                    "malformed at line 2, column 15 (offset 33): a string has a control character");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"\xff\"}", "(offset 30): a byte is no UTF-8");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"\xed\xa0\x80\"}", "a byte is no UTF-8");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"a", "it ends in the middle");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"\\x\"}", "a backslash begins no escape");
    expect_answered("{\"request_id\":\"r\",}", "a key in quotes is missing");
    expect_answered("{\"request_id\":\"r\" \"a\":1}", "a comma or an end is missing");
    expect_answered("{\"request_id\":\"r\",\"x\":01}", "a number begins with 0");
    expect_answered("{\"request_id\":\"r\",\"x\":1.}", "a digit is missing");
    expect_answered("{\"request_id\":\"r\",\"x\":nul}", "no value begins here");
    expect_answered("{\"request_id\":\"r\",\"x\":[1,]}", "no value begins here");
    expect_answered("{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"p\"} x",
                    "something follows its end");
    expect_refused(WP_TOPIC_ACQUIRE, "[1]", "must be one object, not an array");
    expect_refused(WP_TOPIC_ACQUIRE, "nan", "malformed at line 1, column 1 (offset 0): no value begins here");
}

Test(wire_json, depth_is_limited) {
    struct wp_buf json = {0};
    for (int deep = 2047; deep <= 2048; deep++) {
        wp_buf_reset(&json);
        wp_buf_add_str(&json, "{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"p\",\"x\":");
        for (int i = 0; i <= deep; i++) wp_buf_add_str(&json, i % 2 ? "{\"a\":" : "[");
        wp_buf_add_str(&json, "0");
        for (int i = deep; i >= 0; i--) wp_buf_add_str(&json, i % 2 ? "}" : "]");
        wp_buf_add_str(&json, "}");
        cr_expect_eq(decode(WP_TOPIC_ACQUIRE, wp_buf_str(&json)), deep < 2048 ? WP_OK : WP_ERR_DATA, "%s",
                     error.text);
    }
    cr_expect(strstr(error.text, "nested more than 2048 deep"), "%s", error.text);
    wp_buf_done(&json);
}

/* Every cut of a message is an error or (behind its end) none, and reads nothing beyond. */
Test(wire_json, a_truncated_message_is_refused_at_every_length) {
    static const char json[] = ACQUIRE(
        "\"claim\":{\"a\":\"\\ud83d\\ude00\\n\"},\"x\":[1.5e-3,true,null,{\"\xc3\xa9\":\"\xe2\x82\xac\"}]");
    for (size_t length = 0; length <= strlen(json); length++) {
        char *exact = wp_alloc(length + 1);
        memcpy(exact, json, length);
        cr_expect_eq(decode(WP_TOPIC_ACQUIRE, (struct wp_str){exact, length}),
                     length < strlen(json) ? WP_ERR_DATA : WP_OK, "%zu", length);
        free(exact);
    }
}
