/* Decoding into structs: framings, validation, defaults, evolved writers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "support/wire_fixtures.h"

static struct wp_wire *wire;
static struct wp_arena arena;
static union wp_event event;
static struct wp_error error;

static void start(void) {
    wire = fixture_wire("avro", NULL, "1=container-acquire,4000000000=old/acquire-v0.avsc, 7=cache");
}
static void stop(void) {
    wp_arena_done(&arena);
    wp_wire_free(wire);
}
TestSuite(wire_decode, .init = start, .fini = stop);

static enum wp_err decode(enum wp_topic topic, const void *bytes, size_t len) {
    error = (struct wp_error){0};
    memset(&event, 0xaa, sizeof event);
    return wp_wire_decode(wire, topic, (struct wp_str){bytes, len}, &arena, &event, &error);
}
static enum wp_err decode_text(enum wp_topic topic, const char *json) {
    return decode(topic, json, strlen(json));
}
static enum wp_err decode_fixture(enum wp_topic topic, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "wire/%s.avro", name);
    struct wp_buf bytes = fixture_read(path);
    struct wp_str kept = wp_arena_copy(&arena, wp_buf_str(&bytes));
    wp_buf_done(&bytes);
    return decode(topic, kept.ptr, kept.len);
}
static void expect_str(struct wp_str text, const char *expected) {
    cr_expect(wp_str_is(text, expected), "%.*s is not %s", (int)text.len, text.ptr, expected);
}
static void expect_reason(const char *part) {
    cr_expect(strstr(error.text, part), "\"%s\" does not say \"%s\"", error.text, part);
}
static void expect_refused(enum wp_topic topic, const char *json, const char *reason) {
    cr_expect_eq(decode_text(topic, json), WP_ERR_DATA, "%s", json);
    expect_reason(reason);
}

Test(wire_decode, acquire_with_all_fields) {
    cr_assert_eq(decode_fixture(WP_TOPIC_ACQUIRE, "container-acquire+full"), WP_OK, "%s", error.text);
    expect_str(event.acquire.request_id, "r-1");
    expect_str(event.acquire.agent_id, "agent-1");
    expect_str(event.acquire.philosophy, "react");
    expect_str(event.acquire.tenant, "acme");
    cr_expect_eq(event.acquire.timeout_ms, 5000);
    cr_expect_eq(event.acquire.lease_ms, 0);
    cr_expect_float_eq(event.acquire.cpu_percent, 50.5, 0);
    cr_expect_float_eq(event.acquire.memory_mb, 256, 0);
}

Test(wire_decode, what_is_left_out_is_absent_in_avro_and_json) {
    for (int json = 0; json < 2; json++) {
        cr_assert_eq(
            json ? decode_text(
                       WP_TOPIC_ACQUIRE,
                       " \n{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"p\",\"tenant\":null,"
                       "\"unknown\":[{}]}")
                 : decode_fixture(WP_TOPIC_ACQUIRE, "container-acquire+least"),
            WP_OK, "%s", error.text);
        cr_expect_null(event.acquire.tenant.ptr);
        cr_expect_eq(event.acquire.timeout_ms, WP_ABSENT);
        cr_expect_eq(event.acquire.lease_ms, WP_ABSENT);
        cr_expect(isnan(event.acquire.cpu_percent));
        cr_expect(isnan(event.acquire.memory_mb));
    }
}

Test(wire_decode, the_limits_of_ids_names_and_ranges_are_inside) {
    cr_expect_eq(decode_fixture(WP_TOPIC_ACQUIRE, "container-acquire+limits"), WP_OK, "%s", error.text);
}

Test(wire_decode, release_is_for_reuse_unless_it_says_otherwise) {
    cr_assert_eq(decode_text(WP_TOPIC_RELEASE, "{\"request_id\":\"r\",\"philosophy\":\"p\"}"), WP_OK);
    cr_expect(event.release.reuse);
    cr_expect_null(event.release.container_id.ptr);
    cr_assert_eq(decode_text(WP_TOPIC_RELEASE, "{\"request_id\":\"r\",\"philosophy\":\"p\",\"reuse\":false}"),
                 WP_OK);
    cr_expect_not(event.release.reuse);
    cr_assert_eq(decode_fixture(WP_TOPIC_RELEASE, "container-release+v0"), WP_OK, "%s", error.text);
    cr_expect(event.release.reuse, "an older writer has no such field");
}

Test(wire_decode, cache_value_takes_any_bytes) {
    cr_assert_eq(decode_fixture(WP_TOPIC_CACHE, "cache+bytes"), WP_OK);
    cr_expect(event.cache.has_value && wp_str_eq(event.cache.value, (struct wp_str){"\0\xff\x80", 3}));
    cr_assert_eq(decode_fixture(WP_TOPIC_CACHE, "cache+empty"), WP_OK);
    cr_expect(event.cache.has_value && event.cache.value.len == 0);
    cr_expect_eq(event.cache.ttl_seconds, WP_ABSENT);
    cr_assert_eq(decode_text(WP_TOPIC_CACHE,
                             "{\"event_id\":\"e\",\"op\":\"set\",\"key\":\"k\",\"value_base64\":\"AP+A\"}"),
                 WP_OK);
    cr_expect(event.cache.has_value && wp_str_eq(event.cache.value, (struct wp_str){"\0\xff\x80", 3}));
}

Test(wire_decode, cache_value_in_json_is_text_or_any_value) {
    static const char *const pairs[][2] = {{"\"h\xc3\xa9\"", "h\xc3\xa9"},
                                           {"{\"a\": [1, 2.5]}", "{\"a\": [1, 2.5]}"},
                                           {"{\"a\": 0.008}", "{\"a\": 0.008}"},
                                           {"17", "17"},
                                           {"false", "false"},
                                           {"\"\"", ""}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"event_id\":\"e\",\"op\":\"set\",\"key\":\"k\",\"value\":%s}",
                 pairs[i][0]);
        cr_assert_eq(decode_text(WP_TOPIC_CACHE, json), WP_OK, "%s", error.text);
        expect_str(event.cache.value, pairs[i][1]);
        expect_str(event.cache.ns, "default");
        cr_expect(event.cache.has_value);
    }
}

Test(wire_decode, clear_without_namespace_is_about_all) {
    cr_assert_eq(decode_text(WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"clear\"}"), WP_OK, "%s",
                 error.text);
    cr_expect_null(event.cache.ns.ptr);
    cr_expect_not(event.cache.has_value);
}

Test(wire_decode, container_events_need_what_they_are_about) {
    cr_expect_eq(decode_fixture(WP_TOPIC_EVENT, "container-event+ready"), WP_OK, "%s", error.text);
    expect_str(event.container.address, "unix:///run/c-1");
    cr_expect_eq(decode_fixture(WP_TOPIC_EVENT, "container-event+host_up"), WP_OK, "%s", error.text);
    cr_expect_null(event.container.detail.ptr);
#define EVENT(id, host, state)                                                                               \
    "{\"container_id\":\"" id "\",\"philosophy\":\"\",\"host\":\"" host "\",\"state\":\"" state "\"}"
    cr_expect_eq(decode_text(WP_TOPIC_EVENT, EVENT("", "", "continue")), WP_OK, "%s", error.text);
    expect_refused(WP_TOPIC_EVENT, EVENT("", "h", "died"), "container_id");
    expect_refused(WP_TOPIC_EVENT, EVENT("c", "", "host_down"), "host");
    expect_refused(WP_TOPIC_EVENT, EVENT("c", "h", "exploded"), "unknown state \"exploded\"");
    expect_refused(WP_TOPIC_EVENT,
                   "{\"container_id\":\"c\",\"philosophy\":\"p p\",\"host\":\"\",\"state\":\"ready\"}",
                   "philosophy");
}

/* ---- refused ---- */

struct refused {
    enum wp_topic topic;
    const char *json, *reason;
};
#define ACQUIRE(more) "{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"p\"," more "}"
#define USAGE(more) "{\"agent_id\":\"a\",\"philosophy\":\"p\"" more "}"
#define CACHE(more) "{\"event_id\":\"e\"," more "}"
#define CONTROL(more) "{\"philosophy\":\"p\"," more "}"
static const struct refused refused[] = {
    {WP_TOPIC_ACQUIRE, "{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"a b\"}",
     "field philosophy must be 1 to 64"},
    {WP_TOPIC_ACQUIRE, "{\"agent_id\":\"a\",\"philosophy\":\"p\"}", "field request_id is missing"},
    {WP_TOPIC_ACQUIRE, "{\"request_id\":\"a\\u0000b\",\"agent_id\":\"a\",\"philosophy\":\"p\"}",
     "field request_id must be 1 to 256"},
    {WP_TOPIC_ACQUIRE, "{\"request_id\":7,\"agent_id\":\"a\",\"philosophy\":\"p\"}",
     "field request_id must be a string"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"tenant\":\"\""), "field tenant"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"timeout_ms\":-1"), "field timeout_ms must be 0 to 86400000, not -1"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"timeout_ms\":-9223372036854775808"), "field timeout_ms"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"timeout_ms\":1.5"), "field timeout_ms must be an integer"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"timeout_ms\":9223372036854775808"),
     "field timeout_ms must be 0 to 86400000"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"lease_ms\":2678400001"), "field lease_ms"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"cpu_percent\":10000001"), "field cpu_percent must be 0 to 10000000"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"memory_mb\":-0.5"), "field memory_mb"},
    {WP_TOPIC_ACQUIRE, ACQUIRE("\"memory_mb\":\"1\""), "field memory_mb must be a number"},
    {WP_TOPIC_RELEASE, "{\"request_id\":\"r\",\"philosophy\":\"p\",\"container_id\":\"\"}",
     "field container_id"},
    {WP_TOPIC_RELEASE, "{\"request_id\":\"r\",\"philosophy\":\"p\",\"reuse\":1}",
     "field reuse must be true or false"},
    {WP_TOPIC_USAGE, USAGE(""), "needs one of cpu_percent"},
    {WP_TOPIC_USAGE, USAGE(",\"execution_time\":1e300"), "field execution_time"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"explode\""), "unknown op \"explode\""},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"\\u0001\""), "unknown op of 1 bytes"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"get\""), "get needs the field key"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"invalidate\""), "invalidate needs the field key"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"set\",\"key\":\"k\""), "set needs the field value"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"set\",\"key\":\"k\",\"value\":1,\"ttl_seconds\":-1"),
     "field ttl_seconds must be 0"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"set\",\"key\":\"k\",\"value_base64\":\"A\""),
     "value_base64 must be base64"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"set\",\"key\":\"k\",\"value_base64\":\"A*==\""),
     "value_base64 must be base64"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"resize\""), "resize needs the field count"},
    {WP_TOPIC_CACHE, CACHE("\"op\":\"resize\",\"count\":0"), "field count must be 1"},
    {WP_TOPIC_CONTROL, CONTROL("\"op\":\"pre_warm\",\"count\":-1"), "field count must be 0"},
    {WP_TOPIC_CONTROL, CONTROL("\"op\":\"resize\""), "resize needs the field count"},
    {WP_TOPIC_CONTROL, CONTROL("\"op\":\"fly\""), "unknown op \"fly\""},
    {WP_TOPIC_CONTROL, "[]", "one object"},
    {WP_TOPIC_CONTROL, "{", "malformed at line 1"},
    {WP_TOPIC_CONTROL, "", "empty"},
    {WP_TOPIC_CONTROL, "\x01", "first byte 01"},
};

Test(wire_decode, what_breaks_a_limit_is_refused_with_the_reason) {
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        expect_refused(refused[i].topic, refused[i].json, refused[i].reason);
}

Test(wire_decode, an_invalid_acquire_can_be_answered_when_its_id_is_readable) {
    expect_refused(WP_TOPIC_ACQUIRE, ACQUIRE("\"timeout_ms\":\"soon\""), "timeout_ms");
    expect_str(event.acquire.request_id, "r");
    expect_str(event.acquire.agent_id, "a");
    expect_str(event.acquire.philosophy, "p");
    expect_refused(WP_TOPIC_ACQUIRE, "{\"philosophy\":\"a b\",\"agent_id\":5,\"request_id\":\"r\"}",
                   "agent_id");
    expect_str(event.acquire.request_id, "r");
    cr_expect_eq(event.acquire.agent_id.len, 0);
    cr_expect_eq(event.acquire.philosophy.len, 0);
    expect_refused(WP_TOPIC_ACQUIRE, "{\"philosophy\":\"p\",\"agent_id\":\"a\",\"request_id\":\"\"}",
                   "request_id");
    cr_expect_eq(event.acquire.request_id.len, 0);
    cr_expect_eq(event.acquire.agent_id.len, 0);
}

Test(wire_decode, a_truncated_message_is_refused_at_every_length) {
    static const enum wp_topic topics[] = {WP_TOPIC_ACQUIRE, WP_TOPIC_ACQUIRE, WP_TOPIC_CACHE,
                                           WP_TOPIC_EVENT};
    static const char *const names[] = {"container-acquire+full", "container-acquire+v2", "cache+set",
                                        "container-event+ready"};
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "wire/%s.avro", names[i]);
        struct wp_buf bytes = fixture_read(path);
        for (size_t length = 0; length < bytes.len; length++)
            cr_expect_eq(decode(topics[i], bytes.data, length), WP_ERR_DATA, "%s at %zu", names[i], length);
        bytes.data[bytes.len] = 0;
        cr_expect_eq(decode(topics[i], bytes.data, bytes.len + 1), WP_ERR_DATA);
        expect_reason("bytes follow its end");
        wp_buf_done(&bytes);
    }
}

/* A release with the bytes of its datum in place of good ones. */
static void expect_bad_datum(const char *datum, size_t len, const char *reason) {
    struct wp_buf good = fixture_read("wire/container-release+full.avro");
    good.len = 10;
    wp_buf_add(&good, datum, len);
    cr_expect_eq(decode(WP_TOPIC_RELEASE, good.data, good.len), WP_ERR_DATA);
    expect_reason(reason);
    wp_buf_done(&good);
}

Test(wire_decode, hostile_datums_are_refused) {
    expect_bad_datum("\x01", 1, "a length is negative");
    expect_bad_datum("\xff\xff\xff\xff\x0f", 5, "negative");
    expect_bad_datum("\xfe\xff\xff\xff\x0f", 5, "a length goes past the end");
    expect_bad_datum("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "more than 64 bits");
    expect_bad_datum("\x02r\x02p\x04", 5, "no branch of that number");
    expect_bad_datum("\x02r\x02p\x01", 5, "no branch of that number");
    expect_bad_datum("\x02r\x02p\x00\x02", 6, "neither 0 nor 1");
    expect_bad_datum("\x02r\x02p\x00", 5, "ends in the middle");
}

Test(wire_decode, a_malformed_datum_is_named_by_field_and_place) {
    expect_bad_datum("\x02r\x02p\x04", 5,
                     "malformed in field container_id at its byte 5: a union has no branch");
    expect_bad_datum("\x02r\x0ap", 4,
                     "malformed in field philosophy at its byte 3: a length goes past the end");
    expect_bad_datum("\x02r\x02p\x00\x01x", 7, "malformed at its byte 6: bytes follow its end");
}

static void expect_avro_refused(const struct wp_acquire *acquire, const char *reason) {
    struct wp_buf bytes = {0};
    wp_wire_encode(wire, WP_TOPIC_ACQUIRE, acquire, &bytes);
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, bytes.data, bytes.len), WP_ERR_DATA);
    expect_reason(reason);
    wp_buf_done(&bytes);
}

/* As of JSON (tests/unit/wire_json.c). */
Test(wire_decode, what_strings_of_avro_cannot_have_is_named_with_its_place) {
    struct wp_acquire acquire = {.request_id = WP_STR("r"),
                                 .agent_id = WP_STR("a"),
                                 .philosophy = WP_STR("p"),
                                 .timeout_ms = WP_ABSENT,
                                 .lease_ms = WP_ABSENT,
                                 .cpu_percent = NAN,
                                 .memory_mb = NAN};
    acquire.agent_id = WP_STR("ab\0");
    expect_avro_refused(
        &acquire, "field agent_id must be 1 to 256 bytes of UTF-8 without control characters, not a text "
                  "with the control character U+0000 at byte 2");
    acquire.agent_id = WP_STR("a\xed\xa0\x80");
    expect_avro_refused(&acquire, "the byte 0xed, which is no UTF-8, at byte 1");
    acquire.agent_id = WP_STR("a");
    acquire.claim = WP_STR("\4\2k\2v\2k\2w\0");
    expect_avro_refused(&acquire, "field claim must have each key once, but that of its entry 2");
    acquire.claim = WP_STR("\2\2k\2\xff\0");
    expect_avro_refused(&acquire, "field claim must have values of UTF-8, not one like that of its entry 1");
}

Test(wire_decode, what_is_not_a_number_is_refused) {
    struct wp_buf bytes = fixture_read("wire/usage-record+one.avro");
    memcpy(bytes.data + bytes.len - 8, "\0\0\0\0\0\0\xf8\x7f", 8);
    cr_expect_eq(decode(WP_TOPIC_USAGE, bytes.data, bytes.len), WP_ERR_DATA);
    expect_reason("not a number");
    memcpy(bytes.data + bytes.len - 8, "\0\0\0\0\0\0\xf0\x7f", 8);
    cr_expect_eq(decode(WP_TOPIC_USAGE, bytes.data, bytes.len), WP_ERR_DATA);
    expect_reason("execution_time");
    wp_buf_done(&bytes);
}

/* ---- framings ---- */

static struct wp_buf confluent(unsigned id, const char *name) {
    struct wp_buf datum = fixture_datum(name), bytes = {0};
    const char header[] = {0, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    wp_buf_add(&bytes, header, sizeof header);
    wp_buf_add(&bytes, datum.data, datum.len);
    wp_buf_done(&datum);
    return bytes;
}

Test(wire_decode, confluent_framing_finds_the_schema_by_its_id) {
    struct wp_buf current = confluent(1, "container-acquire+full");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, current.data, current.len), WP_OK, "%s", error.text);
    expect_str(event.acquire.tenant, "acme");
    cr_expect_eq(decode(WP_TOPIC_RELEASE, current.data, current.len), WP_ERR_DATA);
    expect_reason("a message of container-release has the schema of container-acquire");
    struct wp_buf older = confluent(4000000000u, "container-acquire+v0");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, older.data, older.len), WP_OK, "%s", error.text);
    cr_expect_float_eq(event.acquire.cpu_percent, 12.5, 0);
    struct wp_buf unknown = confluent(99, "container-acquire+full");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, unknown.data, unknown.len), WP_ERR_DATA);
    expect_reason("Confluent id 99");
    cr_expect_eq(decode(WP_TOPIC_ACQUIRE, unknown.data, 4), WP_ERR_DATA);
    expect_reason("header of 5 bytes");
    wp_buf_done(&current);
    wp_buf_done(&older);
    wp_buf_done(&unknown);
}

Test(wire_decode, an_unknown_fingerprint_is_named) {
    cr_expect_eq(decode(WP_TOPIC_CACHE, "\xc3\x01\x08\x07\x06\x05\x04\x03\x02\x01zz", 12), WP_ERR_DATA);
    expect_reason("0102030405060708");
    cr_expect_eq(decode(WP_TOPIC_CACHE, "\xc3\x01\x08", 3), WP_ERR_DATA);
    expect_reason("header of 10 bytes");
    cr_expect_eq(decode_fixture(WP_TOPIC_CACHE, "container-acquire+v0"), WP_ERR_DATA);
    expect_reason("the schema of container-acquire");
}

Test(wire_decode, formats_that_are_not_accepted_are_refused) {
    wp_wire_free(wire);
    wire = fixture_wire("avro", "avro,confluent", "7=cache");
    expect_refused(WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"clear\"}",
                   "in json, but wire.read accepts only avro, confluent");
    cr_expect_eq(decode_fixture(WP_TOPIC_CACHE, "cache+set"), WP_OK);
    wp_wire_free(wire);
    wire = fixture_wire("avro", "json", "7=cache");
    cr_expect_eq(decode_fixture(WP_TOPIC_CACHE, "cache+set"), WP_ERR_DATA);
    expect_reason("in avro, but wire.read accepts only json");
    cr_expect_eq(decode(WP_TOPIC_CACHE, "\0\0\0\0\7", 5), WP_ERR_DATA);
    expect_reason("in confluent, but");
}

/* ---- evolved writers ---- */

Test(wire_decode, an_older_writer_has_fewer_and_narrower_fields) {
    cr_assert_eq(decode_fixture(WP_TOPIC_ACQUIRE, "container-acquire+v0"), WP_OK, "%s", error.text);
    expect_str(event.acquire.request_id, "r-1");
    expect_str(event.acquire.agent_id, "agent-1");
    expect_str(event.acquire.philosophy, "react");
    cr_expect_null(event.acquire.tenant.ptr);
    cr_expect_eq(event.acquire.timeout_ms, 5000);
    cr_expect_eq(event.acquire.lease_ms, WP_ABSENT);
    cr_expect_float_eq(event.acquire.cpu_percent, 12.5, 0);
    cr_expect_float_eq(event.acquire.memory_mb, 128, 0);
    cr_assert_eq(decode_fixture(WP_TOPIC_USAGE, "usage-record+v0"), WP_OK, "%s", error.text);
    cr_expect_float_eq(event.usage.cpu_percent, 45, 0);
    cr_expect_float_eq(event.usage.memory_usage_mb, 180, 0);
    cr_expect(isnan(event.usage.execution_time));
    cr_assert_eq(decode_fixture(WP_TOPIC_CACHE, "cache+v0"), WP_OK, "%s", error.text);
    expect_str(event.cache.value, "text");
    expect_str(event.cache.ns, "default");
    cr_expect_eq(event.cache.ttl_seconds, 5);
}

Test(wire_decode, a_newer_writer_has_fields_of_every_type_that_are_ignored) {
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(decode_fixture(WP_TOPIC_ACQUIRE, "container-acquire+v2"), WP_OK, "%s", error.text);
        expect_str(event.acquire.request_id, "r-1");
        expect_str(event.acquire.tenant, "acme");
        cr_expect_eq(event.acquire.timeout_ms, WP_ABSENT);
        cr_expect_eq(event.acquire.lease_ms, 60000);
        cr_expect_float_eq(event.acquire.memory_mb, 64, 0);
    }
}

Test(wire_decode, a_schema_of_another_name_is_found_by_its_file) {
    cr_assert_eq(decode_fixture(WP_TOPIC_EVENT, "container-event+foreign"), WP_OK, "%s", error.text);
    expect_str(event.container.state, "died");
}

Test(wire_decode, an_evolved_field_of_the_wrong_type_is_refused) {
    cr_expect_eq(decode_fixture(WP_TOPIC_CONTROL, "pool-control+wrong"), WP_ERR_DATA);
    expect_reason("field op");
}

/* The value of an optional long that stands for absent is no value. */
Test(wire_decode, the_smallest_long_is_out_of_range_not_absent) {
    struct wp_buf bytes = fixture_read("wire/pool-control+drain.avro");
    bytes.data[bytes.len - 1] = 2;
    wp_buf_add(&bytes, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    cr_expect_eq(decode(WP_TOPIC_CONTROL, bytes.data, bytes.len), WP_ERR_DATA);
    expect_reason("field count must be 0");
    wp_buf_done(&bytes);
}
