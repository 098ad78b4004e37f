/* Ids of the Confluent format that a registry knows: waiting, learning, refusing, and the bounds. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "core/clock.h"
#include "support/wire_fixtures.h"
#include "wire/ids.h"

static struct wp_wire *wire;
static struct wp_arena arena;
static union wp_event event;
static struct wp_error error;
static int wanted;
static uint32_t wanted_id;

static void want(void *ctx, uint32_t id) {
    cr_assert_eq(ctx, &wanted);
    wanted++;
    wanted_id = id;
}

static void start(void) {
    wire = fixture_wire("avro", NULL, "1=container-acquire");
    wanted = 0;
    wp_wire_ask_ids(wire, want, &wanted);
}
static void stop(void) {
    wp_arena_done(&arena);
    wp_wire_free(wire);
}
TestSuite(wire_ids, .init = start, .fini = stop);

#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define TEXT(name) "{\"name\":\"" name "\",\"type\":\"string\"}"
#define ACQUIRE RECORD("com.acme.Ask", TEXT("philosophy") "," TEXT("request_id") "," TEXT("agent_id"))

static enum wp_err decode(enum wp_topic topic, const char *bytes, size_t len) {
    error = (struct wp_error){0};
    return wp_wire_decode(wire, topic, (struct wp_str){bytes, len}, &arena, &event, &error);
}

/* The datum of ACQUIRE: react, r, a. */
static enum wp_err decode_acquire(char id) {
    char bytes[] = {0, 0, 0, 0, id, 10, 'r', 'e', 'a', 'c', 't', 2, 'r', 2, 'a'};
    return decode(WP_TOPIC_ACQUIRE, bytes, sizeof bytes);
}

static void learn(uint32_t id, const char *schema) {
    cr_assert_eq(wp_wire_learn_avro(wire, id, wp_str(schema), &error), WP_OK, "%s", error.text);
}

static void expect_reason(const char *part) {
    cr_expect(strstr(error.text, part), "\"%s\" does not say \"%s\"", error.text, part);
}

Test(wire_ids, an_unknown_id_is_asked_for_until_it_is_learned) {
    cr_assert_eq(decode_acquire(17), WP_ERR_AGAIN);
    cr_assert_eq(decode_acquire(17), WP_ERR_AGAIN);
    cr_assert_eq(wanted, 2);
    cr_assert_eq(wanted_id, 17);
    cr_assert_eq(event.acquire.request_id.len, 0, "nothing of it was read");
    learn(17, ACQUIRE);
    cr_assert_eq(decode_acquire(17), WP_OK, "%s", error.text);
    cr_assert(wp_str_is(event.acquire.philosophy, "react") && wp_str_is(event.acquire.agent_id, "a"));
    cr_assert_eq(wanted, 2);
}

Test(wire_ids, without_somebody_to_ask_an_unknown_id_is_refused) {
    wp_wire_ask_ids(wire, NULL, NULL);
    cr_assert_eq(decode_acquire(17), WP_ERR_DATA);
    expect_reason("no schema has the Confluent id 17: name it in wire.confluent_ids, or a schema registry");
}

Test(wire_ids, a_configured_id_is_never_asked_for) {
    (void)decode_acquire(1);
    cr_assert_eq(wanted, 0);
}

Test(wire_ids, the_current_schema_and_one_of_the_folder_are_not_read_twice) {
    struct wp_buf text = {0};
    FILE *in = fopen(SOURCE_DIR "/schemas/cache.avsc", "r");
    cr_assert(in);
    text.len = fread(wp_buf_reserve(&text, 65536), 1, 65536, in);
    fclose(in);
    cr_assert_eq(wp_wire_learn_avro(wire, 3, wp_buf_str(&text), &error), WP_OK, "%s", error.text);
    wp_buf_done(&text);
    (void)decode(WP_TOPIC_ACQUIRE, "\0\0\0\0\3", 5);
    expect_reason("a message of container-acquire has the schema of cache");
}

Test(wire_ids, a_schema_that_is_none_of_the_topic_says_why) {
    learn(17, RECORD("com.acme.Other", TEXT("request_id") "," TEXT("agent_id")));
    cr_assert_eq(decode_acquire(17), WP_ERR_DATA);
    expect_reason("the schema with the id 17 (record com.acme.Other) is none of container-acquire: it has no "
                  "field philosophy");
    learn(18, RECORD("com.acme.Third", TEXT("request_id") "," TEXT("agent_id") ",{\"name\":\"philosophy\","
                                                                               "\"type\":\"long\"}"));
    cr_assert_eq(decode_acquire(18), WP_ERR_DATA);
    expect_reason("its field philosophy must be string or bytes, not long");
}

Test(wire_ids, json_follows_the_header_of_a_json_schema) {
    static const char bytes[] =
        "\0\0\0\0\5{\"request_id\":\"r\",\"agent_id\":\"a\",\"philosophy\":\"react\"}";
    cr_assert_eq(wp_wire_learn_json(wire, 5, &error), WP_OK);
    cr_assert_eq(decode(WP_TOPIC_ACQUIRE, bytes, sizeof bytes - 1), WP_OK, "%s", error.text);
    cr_assert(wp_str_is(event.acquire.request_id, "r"));
}

Test(wire_ids, a_refused_id_says_why_and_is_asked_for_again_later) {
    wp_wire_refuse_id(wire, 9, "is unknown: no such schema", 0);
    cr_assert_eq(decode_acquire(9), WP_ERR_DATA);
    expect_reason("the schema with the id 9 is unknown: no such schema");
    wp_wire_refuse_id(wire, 9, "is unknown", 1);
    int64_t from_us = wp_clock_us();
    while (wp_clock_us() < from_us + 2) continue;
    cr_assert_eq(decode_acquire(9), WP_ERR_AGAIN);
    cr_assert_eq(wanted, 1);
}

Test(wire_ids, a_schema_that_cannot_be_used_is_refused_with_the_reason) {
    cr_assert_eq(wp_wire_learn_avro(wire, 4, WP_STR("{\"type\":"), &error), WP_ERR_DATA);
    cr_assert_eq(decode_acquire(4), WP_ERR_DATA);
    expect_reason("the schema with the id 4 cannot be used: schema id 4 is no JSON");
    cr_assert_eq(wp_wire_learn_avro(wire, 4, WP_STR("\"string\""), &error), WP_ERR_DATA);
    cr_assert_eq(decode_acquire(4), WP_ERR_DATA);
    expect_reason("schema id 4 must be a record, not string");
}

Test(wire_ids, an_id_to_write_with_is_one_to_read_too) {
    wp_wire_free(wire);
    wire = fixture_wire("confluent", NULL,
                        "1=container-acquire,2=container-release,3=usage-record,4=cache,"
                        "5=pool-control,6=container-event,7=container-assignment,"
                        "8=container-command,9=cache-result,10=prediction,11=metrics");
    wp_wire_set_write_id(wire, WP_TOPIC_CACHE, 77);
    struct wp_buf out = {0};
    cr_assert_eq(wp_wire_encode_json(wire, WP_TOPIC_CACHE,
                                     WP_STR("{\"event_id\":\"e\",\"op\":\"get\",\"key\":\"k\"}"), &out,
                                     &error),
                 WP_OK, "%s", error.text);
    cr_assert_eq(out.data[4], 77);
    cr_assert_eq(decode(WP_TOPIC_CACHE, out.data, out.len), WP_OK, "%s", error.text);
    wp_buf_done(&out);
}

/* ---- the table alone ---- */

Test(wire_ids, no_schema_that_was_used_lately_gives_way) {
    struct ids ids = {0};
    cr_assert_eq(ids_add_json(&ids, 1, 2, 0, &error), WP_OK);
    cr_assert_eq(ids_add_json(&ids, 2, 2, 10, &error), WP_OK);
    cr_assert_eq(ids_add_json(&ids, 3, 2, 20, &error), WP_ERR_DATA);
    cr_assert(strstr(error.text, "raise wire.registry.max_schemas"), "%s", error.text);
    cr_assert(ids_find(&ids, 1, IDS_IN_USE_US)); /* now 2 is the one that was used longest ago */
    cr_assert_eq(ids_add_json(&ids, 3, 2, IDS_IN_USE_US + 11, &error), WP_OK);
    cr_assert(ids_find(&ids, 1, IDS_IN_USE_US + 11) && ids_find(&ids, 3, IDS_IN_USE_US + 11));
    cr_assert_null(ids_find(&ids, 2, IDS_IN_USE_US + 11));
    ids_done(&ids);
}

Test(wire_ids, refused_ids_are_bounded) {
    struct ids ids = {0};
    for (uint32_t id = 0; id < 3 * IDS_REFUSED_MAX; id++) ids_refuse(&ids, id, "is unknown", INT64_MAX, id);
    cr_assert_eq(ids.refused, IDS_REFUSED_MAX);
    cr_assert_eq(HASH_COUNT(ids.table), IDS_REFUSED_MAX);
    cr_assert_null(ids_find(&ids, 0, 0));
    cr_assert(ids_find(&ids, 3 * IDS_REFUSED_MAX - 1, 0));
    ids_done(&ids);
}
