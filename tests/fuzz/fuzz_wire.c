/* libFuzzer target: any bytes as a message of every topic. Seeds are the fixtures; Confluent ids of one byte
 * lead to every schema, so that the fuzzer need not guess fingerprints. */
#include <stdio.h>
#include <stdlib.h>
#include "wire/wire.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wp_wire *wire;
static struct wp_arena arena;

static const char *const evolved[] = {
    "old/acquire-v0.avsc", "acquire-v2.avsc", "release-v0.avsc",    "usage-v0.avsc",
    "usage-bomb.avsc",     "cache-v0.avsc",   "control-wrong.avsc", "container-event-foreign.avsc"};

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    struct wp_config config;
    struct wp_error error;
    struct wp_buf ids = {0};
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < sizeof evolved / sizeof evolved[0]; i++)
        wp_buf_printf(&ids, "%zu=%s,", i + 1, evolved[i]);
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) wp_buf_printf(&ids, "%d=%s,", 101 + t, wp_topics[t].name);
    wp_buf_add(&ids, "", 1);
    wp_config_init(&config);
    if (wp_config_set(&config, "wire.schemas", SOURCE_DIR "/tests/fixtures/wire-schemas", &error) ||
        wp_config_set(&config, "wire.confluent_ids", ids.data, &error) ||
        wp_wire_new(&wire, &config, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    wp_buf_done(&ids);
    wp_config_done(&config);
    return 0;
}

/* What is read must be writable again; what the slow path reads must be JSON that it takes back. */
static void round_trip(enum wp_topic topic, struct wp_str bytes) {
    struct wp_buf out = {0}, json = {0};
    union wp_event event;
    struct wp_error error;
    if (topic < WP_TOPICS_IN && !wp_wire_decode(wire, topic, bytes, &arena, &event, &error)) {
        wp_wire_encode(wire, topic, &event, &out);
        wp_assert(!wp_wire_decode(wire, topic, wp_buf_str(&out), &arena, &event, &error));
    }
    wp_buf_reset(&out);
    if (!wp_wire_decode_json(wire, topic, bytes, &json, &error)) {
        enum wp_err err = wp_wire_encode_json(wire, topic, wp_buf_str(&json), &out, &error);
        wp_assert(err || !wp_wire_decode_json(wire, topic, wp_buf_str(&out), &json, &error));
    }
    wp_buf_done(&out);
    wp_buf_done(&json);
    wp_arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++)
        round_trip((enum wp_topic)t, (struct wp_str){(const char *)data, size});
    return 0;
}
