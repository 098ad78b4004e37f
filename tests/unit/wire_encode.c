/* Encoding: framings, JSON, metrics, and the datums as avro-c reads them. */
#include <avro.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/wire_fixtures.h"
#include "wire/fields.h"

#define ALL_IDS                                                                                              \
    "1=container-acquire,2=container-release,3=usage-record,4=cache,5=pool-control,6=container-event,"       \
    "66051=container-assignment,8=container-command,9=cache-result,10=prediction,11=metrics"

static const struct wp_acquire acquire = {.request_id = {"r-1", 3},
                                          .agent_id = {"a \"1\"\n\t\r\\", 9},
                                          .philosophy = {"react", 5},
                                          .timeout_ms = WP_ABSENT,
                                          .lease_ms = -5,
                                          .cpu_percent = NAN,
                                          .memory_mb = 0.1,
                                          .claim = {"\x02\x02k\x04v\"\x01\x06\x02m\x00\x00", 12}};
static const struct wp_release release = {.request_id = {"r", 1}, .philosophy = {"p", 1}, .reuse = true};
static const struct wp_usage usage = {.agent_id = {"a", 1},
                                      .philosophy = {"p", 1},
                                      .cpu_percent = 45,
                                      .memory_usage_mb = NAN,
                                      .execution_time = 1e7};
static const struct wp_cache_event cache = {.event_id = {"e", 1},
                                            .op = {"set", 3},
                                            .ns = {"n", 1},
                                            .key = {"k", 1},
                                            .value = {"\0\xff", 2},
                                            .has_value = true,
                                            .ttl_seconds = INT64_MAX,
                                            .count = WP_ABSENT};
static const struct wp_control control = {.philosophy = {"p", 1}, .op = {"drain", 5}, .count = 7};
static const struct wp_container_event container = {
    .container_id = {"", 0}, .philosophy = {"", 0}, .host = {"h", 1}, .state = {"host_up", 7}};
static const struct wp_assignment assignment = {.request_id = {"r", 1},
                                                .status = {"rejected", 8},
                                                .startup_time_ms = NAN,
                                                .lease_epoch = 1700000000000001,
                                                .limits = {50, 256},
                                                .requirements = {54, 216, 30},
                                                .recommended = {1.5, 2.25, 1.0 / 3},
                                                .confidence = 0.01,
                                                .basis = {"low", 3},
                                                .reason = {"\xff bad", 5},
                                                .retry_after_ms = WP_ABSENT,
                                                .tier = {"cold", 4},
                                                .has_startup = true,
                                                .startup = {1, 2, 3, 4, 5, 6.5}};
static const struct wp_command command = {.command_id = {"c", 1},
                                          .host = {"h", 1},
                                          .op = {"create", 6},
                                          .container_id = {"x", 1},
                                          .philosophy = {"p", 1},
                                          .limits = {50, 256}};
static const struct wp_cache_result result = {.event_id = {"e", 1},
                                              .op = {"get", 3},
                                              .has_value = true,
                                              .value = {"", 0},
                                              .hit = true,
                                              .ttl_seconds = 0,
                                              .count = WP_ABSENT};
static const struct wp_prediction prediction = {.philosophy = {"p", 1}, .samples = 100, .basis = {"high", 4}};

static const void *const events[WP_TOPICS] = {
    [WP_TOPIC_ACQUIRE] = &acquire,       [WP_TOPIC_RELEASE] = &release, [WP_TOPIC_USAGE] = &usage,
    [WP_TOPIC_CACHE] = &cache,           [WP_TOPIC_CONTROL] = &control, [WP_TOPIC_EVENT] = &container,
    [WP_TOPIC_ASSIGNMENT] = &assignment, [WP_TOPIC_COMMAND] = &command, [WP_TOPIC_CACHE_RESULT] = &result,
    [WP_TOPIC_PREDICTION] = &prediction,
};

static struct wp_buf encode(struct wp_wire *wire, enum wp_topic topic) {
    struct wp_buf out = {0};
    wp_wire_encode(wire, topic, events[topic], &out);
    return out;
}

/* ---- avro-c as the judge ---- */

static void expect_fields(const struct fields *fields, const void *event, avro_value_t *record);

static void expect_map(const struct field *field, struct wp_str ours, avro_value_t *value) {
    struct avro_map map = {.in = avro_reader(ours)};
    struct wp_str key, text;
    size_t count, seen = 0, size;
    const char *theirs;
    cr_assert_eq(avro_value_get_size(value, &count), 0);
    while (avro_map_next(&map, &key, &text)) {
        avro_value_t item;
        char *name = wp_strndup(key);
        cr_assert_eq(avro_value_get_by_name(value, name, &item, NULL), 0, "%s has no %s", field->name, name);
        cr_assert_eq(avro_value_get_string(&item, &theirs, &size), 0);
        cr_expect(wp_str_eq((struct wp_str){theirs, size - 1}, text), "%s of %s", name, field->name);
        free(name);
        seen++;
    }
    cr_expect_eq(seen, count);
}

static void expect_field(const struct field *field, const void *event, avro_value_t *value) {
    const void *ours = field_value(field, event);
    const void *bytes;
    const char *text;
    size_t size;
    int64_t whole;
    double figure;
    int truth;
    switch (field->kind) {
    case FIELD_STRING:
        cr_assert_eq(avro_value_get_string(value, &text, &size), 0, "%s", field->name);
        cr_expect(wp_str_eq((struct wp_str){text, size - 1}, *(const struct wp_str *)ours), "%s",
                  field->name);
        break;
    case FIELD_BYTES:
        cr_assert_eq(avro_value_get_bytes(value, &bytes, &size), 0);
        cr_expect(wp_str_eq((struct wp_str){bytes, size}, *(const struct wp_str *)ours), "%s", field->name);
        break;
    case FIELD_LONG:
        cr_assert_eq(avro_value_get_long(value, &whole), 0);
        cr_expect_eq(whole, *(const int64_t *)ours, "%s", field->name);
        break;
    case FIELD_DOUBLE:
        cr_assert_eq(avro_value_get_double(value, &figure), 0);
        cr_expect(figure == *(const double *)ours || (isnan(*(const double *)ours) && figure == 0), "%s",
                  field->name);
        break;
    case FIELD_BOOL:
        cr_assert_eq(avro_value_get_boolean(value, &truth), 0);
        cr_expect_eq(truth != 0, *(const bool *)ours, "%s", field->name);
        break;
    case FIELD_RECORD:
        expect_fields(field->record, ours, value);
        break;
    case FIELD_MAP:
        expect_map(field, *(const struct wp_str *)ours, value);
        break;
    }
}

static void expect_fields(const struct fields *fields, const void *event, avro_value_t *record) {
    size_t count;
    cr_assert_eq(avro_value_get_size(record, &count), 0);
    cr_expect_eq(count, fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        avro_value_t value, branch;
        const char *name;
        int which = 1;
        cr_assert_eq(avro_value_get_by_index(record, i, &value, &name), 0);
        cr_expect_str_eq(name, fields->list[i].name);
        if (fields->list[i].optional) {
            cr_assert_eq(avro_value_get_discriminant(&value, &which), 0);
            cr_assert_eq(avro_value_get_current_branch(&value, &branch), 0);
            cr_expect_eq(which, field_is_absent(&fields->list[i], event) ? 0 : 1, "%s", name);
            value = branch;
        }
        if (which) expect_field(&fields->list[i], event, &value);
    }
}

Test(wire_encode, avro_c_reads_what_is_written_for_every_hot_topic) {
    struct wp_wire *wire = fixture_wire("avro", NULL, NULL);
    for (int t = 0; t < WP_TOPIC_METRICS; t++) {
        char path[128];
        avro_schema_t schema;
        avro_value_t value;
        snprintf(path, sizeof path, "../../schemas/%s.avsc", wp_topics[t].name);
        struct wp_buf text = fixture_read(path), bytes = encode(wire, (enum wp_topic)t);
        cr_assert_eq(avro_schema_from_json_length(text.data, text.len, &schema), 0, "%s", avro_strerror());
        avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
        avro_reader_t reader = avro_reader_memory(bytes.data + 10, (int64_t)bytes.len - 10);
        cr_assert_eq(avro_generic_value_new(iface, &value), 0);
        cr_assert_eq(avro_value_read(reader, &value), 0, "%s", avro_strerror());
        expect_fields(&topic_fields[t], events[t], &value);
        uint64_t fingerprint = 0;
        for (unsigned i = 0; i < 8; i++) fingerprint |= (uint64_t)(unsigned char)bytes.data[2 + i] << (8 * i);
        cr_expect_eq(fingerprint, wp_wire_fingerprint(wire, (enum wp_topic)t));
        avro_value_decref(&value);
        avro_value_iface_decref(iface);
        avro_schema_decref(schema);
        avro_reader_free(reader);
        wp_buf_done(&text);
        wp_buf_done(&bytes);
    }
    wp_wire_free(wire);
}

/* ---- JSON ---- */

Test(wire_encode, json_is_compact_and_leaves_out_what_is_absent) {
    struct wp_wire *wire = fixture_wire("json", NULL, NULL);
    static const struct {
        enum wp_topic topic;
        const char *json;
    } expected[] = {
        {WP_TOPIC_ACQUIRE,
         "{\"request_id\":\"r-1\",\"agent_id\":\"a "
         "\\\"1\\\"\\n\\t\\r\\\\\",\"philosophy\":\"react\",\"lease_ms\":-5,\"memory_mb\":0.1,"
         "\"claim\":{\"k\":\"v\\\"\",\"m\":\"\"}}"},
        {WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"set\",\"namespace\":\"n\",\"key\":\"k\",\"value_"
                         "base64\":\"AP8=\",\"ttl_seconds\":9223372036854775807}"},
        {WP_TOPIC_CACHE_RESULT, "{\"event_id\":\"e\",\"op\":\"get\",\"namespace\":\"\",\"key\":\"\",\"hit\":"
                                "true,\"value\":\"\",\"ttl_seconds\":0}"},
        {WP_TOPIC_USAGE,
         "{\"agent_id\":\"a\",\"philosophy\":\"p\",\"cpu_percent\":45.0,\"execution_time\":10000000.0}"},
        {WP_TOPIC_COMMAND, "{\"command_id\":\"c\",\"host\":\"h\",\"op\":\"create\",\"container_id\":\"x\","
                           "\"philosophy\":\"p\",\"limits\":{\"cpu_percent\":50.0,\"memory_mb\":256.0}}"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct wp_buf out = encode(wire, expected[i].topic);
        cr_expect(wp_str_is(wp_buf_str(&out), expected[i].json), "%.*s", (int)out.len, out.data);
        wp_buf_done(&out);
    }
    wp_wire_free(wire);
}

Test(wire_encode, json_output_is_utf8_and_reads_back_the_same_numbers) {
    struct wp_wire *wire = fixture_wire("json", NULL, NULL);
    struct wp_buf out = encode(wire, WP_TOPIC_ASSIGNMENT);
    json_t *json = json_loadb(out.data, out.len, 0, NULL);
    cr_assert(json, "%.*s", (int)out.len, out.data);
    cr_expect_str_eq(json_string_value(json_object_get(json, "reason")), "\xef\xbf\xbd bad");
    cr_expect_float_eq(json_number_value(json_object_get(json, "startup_time_ms")), 0, 0);
    cr_expect_eq(
        json_number_value(json_object_get(json_object_get(json, "recommended"), "execution_time_seconds")),
        1.0 / 3);
    json_decref(json);
    wp_buf_done(&out);
    wp_wire_free(wire);
}

Test(wire_encode, json_of_the_slow_path_is_the_schemas_json) {
    struct wp_wire *wire = fixture_wire("json", NULL, NULL);
    struct wp_buf out = {0};
    struct wp_error error = {0};
    cr_assert_eq(wp_wire_encode_json(wire, WP_TOPIC_RELEASE,
                                     WP_STR("{\"philosophy\":\"p\", \"request_id\":\"r\", \"zzz\":1}"), &out,
                                     &error),
                 WP_OK, "%s", error.text);
    cr_expect(wp_str_is(wp_buf_str(&out), "{\"request_id\":\"r\",\"philosophy\":\"p\",\"reuse\":true}"),
              "%.*s", (int)out.len, out.data);
    struct wp_buf again = {0};
    cr_assert_eq(wp_wire_decode_json(wire, WP_TOPIC_RELEASE, wp_buf_str(&out), &again, &error), WP_OK);
    cr_expect(wp_str_eq(wp_buf_str(&out), wp_buf_str(&again)));
    wp_buf_done(&out);
    wp_buf_done(&again);
    wp_wire_free(wire);
}

Test(wire_encode, the_slow_path_names_what_is_wrong) {
    static const struct {
        enum wp_topic topic;
        const char *json, *reason;
    } wrong[] = {
        {WP_TOPIC_DEAD_LETTER, "{}", "no schema"},
        {WP_TOPIC_RELEASE, "{\"philosophy\":\"p\"}", "field request_id is missing"},
        {WP_TOPIC_RELEASE, "{\"request_id\":1,\"philosophy\":\"p\"}", "field request_id must be string"},
        {WP_TOPIC_RELEASE, "{\"request_id\":\"r\",\"philosophy\":\"p\",\"container_id\":5}",
         "field container_id must be string"},
        {WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"set\",\"value_base64\":\"?\"}", "value_base64"},
        {WP_TOPIC_COMMAND,
         "{\"command_id\":\"k\",\"host\":\"h\",\"op\":\"o\",\"container_id\":\"c\",\"philosophy\":\"p\","
         "\"limits\":1}",
         "field limits must be record"},
        {WP_TOPIC_PREDICTION, "[", "malformed"},
        {WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"set\",\"ttl_seconds\":123456789012345678901}",
         "field ttl_seconds must be long, not 123456789012345678901"},
        {WP_TOPIC_CACHE, "{\"event_id\":\"e\",\"op\":\"set\",\"op\":\"get\"}",
         "the key \"op\" more than once: again at offset 27"},
        {WP_TOPIC_CACHE, "{\"event_id\":\"\\ud800\",\"op\":\"set\"}", "a lone surrogate"},
        {WP_TOPIC_USAGE, "{\"agent_id\":\"a\",\"philosophy\":\"p\",\"cpu_percent\":1e400}",
         "field cpu_percent must be double, not 1e400"},
        {WP_TOPIC_METRICS, "{\"timestamp_ms\":1}", "field optimization_metrics is missing"},
    };
    struct wp_wire *wire = fixture_wire("avro", NULL, NULL);
    struct wp_buf out = {0};
    wp_buf_add_str(&out, "kept");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct wp_error error = {0};
        cr_expect_eq(wp_wire_encode_json(wire, wrong[i].topic, wp_str(wrong[i].json), &out, &error),
                     WP_ERR_DATA);
        cr_expect(strstr(error.text, wrong[i].reason), "\"%s\" does not say \"%s\"", error.text,
                  wrong[i].reason);
        cr_expect(wp_str_is(wp_buf_str(&out), "kept"));
    }
    struct wp_error error = {0};
    cr_expect_eq(wp_wire_decode_json(wire, WP_TOPIC_DEAD_LETTER, WP_STR("{}"), &out, &error), WP_ERR_DATA);
    cr_expect_eq(wp_wire_decode_json(wire, WP_TOPIC_CACHE, WP_STR("{\"a\""), &out, &error), WP_ERR_DATA);
    wp_buf_done(&out);
    wp_wire_free(wire);
}

Test(wire_encode, any_value_of_a_cache_event_goes_through_the_slow_path) {
    struct wp_wire *wire = fixture_wire("avro", NULL, NULL);
    static const char *const pairs[][2] = {
        {"\"value\":{\"a\": 1}", "\"value\":\"{\\\"a\\\": 1}\""},
        {"\"value\":123456789012345678901234567890", "\"value\":\"123456789012345678901234567890\""},
        {"\"value\":[1e400],\"unknown\":1e400", "\"value\":\"[1e400]\""},
        {"\"value\":[0.1]", "\"value\":\"[0.1]\""},
        {"\"value_base64\":\"/w==\"", "\"value_base64\":\"/w==\""},
        {"\"value_base64\":\"\"", "\"value\":\"\""}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct wp_buf bytes = {0}, json = {0}, in = {0};
        struct wp_error error = {0};
        wp_buf_printf(&in, "{\"event_id\":\"e\",\"op\":\"set\",%s}", pairs[i][0]);
        cr_assert_eq(wp_wire_encode_json(wire, WP_TOPIC_CACHE, wp_buf_str(&in), &bytes, &error), WP_OK, "%s",
                     error.text);
        cr_assert_eq(wp_wire_decode_json(wire, WP_TOPIC_CACHE, wp_buf_str(&bytes), &json, &error), WP_OK,
                     "%s", error.text);
        wp_buf_add(&json, "", 1);
        cr_expect(strstr(json.data, pairs[i][1]), "%s", json.data);
        wp_buf_done(&bytes);
        wp_buf_done(&json);
        wp_buf_done(&in);
    }
    wp_wire_free(wire);
}

Test(wire_encode, json_that_is_shown_has_its_numbers_as_they_were_written) {
    struct wp_wire *wire = fixture_wire("avro", NULL, NULL);
    struct wp_buf out = {0};
    struct wp_error error = {0};
    static const char sent[] = "{ \"x\" : 123456789012345678901,\n\"value\": [ 1e400 , \"a \\\" b\" ] } ";
    cr_expect_eq(wp_wire_decode_json(wire, WP_TOPIC_CACHE, wp_str(sent), &out, &error), WP_OK, "%s",
                 error.text);
    cr_expect(wp_str_is(wp_buf_str(&out), "{\"x\":123456789012345678901,\"value\":[1e400,\"a \\\" b\"]}"),
              "%.*s", (int)out.len, out.data);
    wp_buf_done(&out);
    wp_wire_free(wire);
}

/* ---- Confluent ---- */

Test(wire_encode, confluent_writes_the_id_of_the_topic) {
    struct wp_wire *wire = fixture_wire("confluent", NULL, ALL_IDS);
    struct wp_buf out = encode(wire, WP_TOPIC_ASSIGNMENT);
    cr_expect(memcmp(out.data, "\0\0\1\2\3", 5) == 0);
    struct wp_buf json = {0};
    cr_expect_eq(wp_wire_decode_json(wire, WP_TOPIC_PREDICTION, wp_buf_str(&out), &json, NULL), WP_ERR_DATA);
    wp_buf_done(&out);
    out = encode(wire, WP_TOPIC_PREDICTION);
    cr_expect_eq(wp_wire_decode_json(wire, WP_TOPIC_PREDICTION, wp_buf_str(&out), &json, NULL), WP_OK);
    wp_buf_done(&out);
    wp_buf_done(&json);
    wp_wire_free(wire);
}

static void expect_config_error(const char *schemas, const char *write, const char *ids, const char *reason) {
    char *error = fixture_wire_error(schemas, write, ids);
    cr_expect(strstr(error, reason), "\"%s\" does not say \"%s\"", error, reason);
    free(error);
}

Test(wire_encode, wrong_settings_are_named) {
    expect_config_error(NULL, "confluent", "1=container-acquire", "no id for container-release");
    expect_config_error(NULL, "avro", "one=cache", "\"one=cache\" is not ID=TOPIC");
    expect_config_error(NULL, "avro", "4294967296=cache", "32 bits");
    expect_config_error(NULL, "avro", "1=cache,1=prediction", "id 1 is there twice");
    expect_config_error(NULL, "avro", "1=nothing", "names \"nothing\"");
    expect_config_error("/nonexistent/folder", "avro", NULL, "/nonexistent/folder cannot be read");
}
