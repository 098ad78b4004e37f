/* The codec: tells the framings apart, finds the writer's schema and hands the datum to the right reader. One
 * thread. */
#include "wire/wire.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/clock.h"
#include "wire/datum.h"
#include "wire/fields.h"
#include "wire/ids.h"
#include "wire/scan.h"
#include "wire/text.h"
#include "wire/validate.h"
#include "wire/writers.h"

#define MARKER_0 0xc3 /* Avro single-object encoding, version 1 */
#define MARKER_1 0x01
#define AVRO_HEADER 10
#define CONFLUENT_HEADER 5
#define REFUSED_SCHEMA_US (INT64_C(600) * 1000000) /* then there may be room for it */

struct wp_wire {
    enum wp_wire_format write;
    unsigned accept; /* bits 1 << enum wp_wire_format */
    struct writers writers;
    uint32_t write_ids[WP_TOPICS];
    unsigned can_write; /* bits of topics that have a write id */
    struct ids ids;     /* of the registry */
    size_t ids_max;
    void (*want)(void *ctx, uint32_t id); /* NULL: nobody can be asked for an id */
    void *want_ctx;
};

/* A message split into its writer's schema and its body. */
struct frame {
    struct writer *writer; /* NULL for JSON */
    struct wp_str body;
};

enum wp_err wp_wire_new(struct wp_wire **ret_wire, const struct wp_config *config, struct wp_error *error) {
    struct wp_wire *wire = wp_calloc(1, sizeof *wire);
    wire->write = config->wire.write;
    wire->accept = config->wire.accept;
    wire->ids_max = (size_t)config->wire.registry.max_schemas;
    enum wp_err err = writers_load(&wire->writers, config, error);
    if (err) {
        wp_wire_free(wire);
        return err;
    }
    for (int t = 0; t < WP_TOPIC_DEAD_LETTER; t++) {
        const struct confluent_id *id = writers_id_of(&wire->writers, (enum wp_topic)t);
        if (!id) continue;
        wire->write_ids[t] = id->id;
        wire->can_write |= 1u << t;
    }
    *ret_wire = wire;
    return WP_OK;
}

void wp_wire_free(struct wp_wire *wire) {
    if (!wire) return;
    ids_done(&wire->ids);
    writers_done(&wire->writers);
    free(wire);
}

uint64_t wp_wire_fingerprint(const struct wp_wire *wire, enum wp_topic topic) {
    return wire->writers.current[topic].schema.fingerprint;
}

/* ---- ids of a registry ---- */

void wp_wire_ask_ids(struct wp_wire *wire, void (*want)(void *ctx, uint32_t id), void *ctx) {
    wire->want = want;
    wire->want_ctx = ctx;
}

static void refuse_unusable(struct wp_wire *wire, uint32_t id, const char *text, int64_t now_us) {
    char *why = wp_format("cannot be used: %s", text);
    ids_refuse(&wire->ids, id, why, now_us + REFUSED_SCHEMA_US, now_us);
    free(why);
}

enum wp_err wp_wire_learn_avro(struct wp_wire *wire, uint32_t id, struct wp_str schema,
                               struct wp_error *error) {
    int64_t now_us = wp_clock_us();
    enum wp_err err = ids_add_avro(&wire->ids, &wire->writers, id, schema, wire->ids_max, now_us, error);
    if (err) refuse_unusable(wire, id, error->text, now_us);
    return err;
}

enum wp_err wp_wire_learn_json(struct wp_wire *wire, uint32_t id, struct wp_error *error) {
    int64_t now_us = wp_clock_us();
    enum wp_err err = ids_add_json(&wire->ids, id, wire->ids_max, now_us, error);
    if (err) refuse_unusable(wire, id, error->text, now_us);
    return err;
}

void wp_wire_refuse_id(struct wp_wire *wire, uint32_t id, const char *why, int64_t ttl_us) {
    int64_t now_us = wp_clock_us();
    ids_refuse(&wire->ids, id, why, ttl_us ? now_us + ttl_us : INT64_MAX, now_us);
}

enum wp_err wp_wire_check_schema(struct wp_wire *wire, enum wp_topic topic, struct wp_str schema,
                                 struct wp_error *error) {
    struct writer *writer;
    bool owned;
    enum wp_err err = writers_make(&wire->writers, "of the subject", schema, &writer, &owned, error);
    if (err) return err;
    if (writer->topic != topic && writer->topic != WP_TOPICS)
        err = wp_fail(error, WP_ERR_DATA, "it is the schema of %s", wp_topics[writer->topic].name);
    else
        err = evolved_check(writer->schema.type, &topic_fields[topic], error);
    if (owned) writer_free(writer);
    return err;
}

size_t wp_wire_learned(const struct wp_wire *wire) {
    return wire->ids.schemas;
}

bool wp_wire_can_write(const struct wp_wire *wire, enum wp_topic topic) {
    return wire->write != WP_WIRE_CONFLUENT || wire->can_write & 1u << topic;
}

void wp_wire_set_write_id(struct wp_wire *wire, enum wp_topic topic, uint32_t id) {
    wire->write_ids[topic] = id;
    wire->can_write |= 1u << topic;
    writers_add_id(&wire->writers, id, topic);
}

const char *wp_wire_record_name(const struct wp_wire *wire, enum wp_topic topic) {
    return wire->writers.current[topic].schema.type->name;
}

/* ---- framing ---- */

static enum wp_err right_topic(enum wp_topic topic, const struct frame *frame, struct wp_error *error) {
    if (frame->writer->topic == topic) return WP_OK;
    return wp_fail(error, WP_ERR_DATA, "a message of %s has the schema of %s (fingerprint %016" PRIx64 ")",
                   wp_topics[topic].name, wp_topics[frame->writer->topic].name,
                   frame->writer->schema.fingerprint);
}

static enum wp_err open_avro(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                             struct frame *frame, struct wp_error *error) {
    if (bytes.len < AVRO_HEADER)
        return wp_fail(error, WP_ERR_DATA, "the message ends in its Avro header of 10 bytes");
    uint64_t fingerprint = 0;
    for (unsigned i = 0; i < 8; i++) fingerprint |= (uint64_t)(unsigned char)bytes.ptr[2 + i] << (8 * i);
    frame->body = (struct wp_str){bytes.ptr + AVRO_HEADER, bytes.len - AVRO_HEADER};
    frame->writer = writers_by_fingerprint(&wire->writers, topic, fingerprint);
    if (frame->writer) return right_topic(topic, frame, error);
    return wp_fail(error, WP_ERR_DATA,
                   "no schema has the fingerprint %016" PRIx64
                   ": put the writer's .avsc into the folder wire.schemas",
                   fingerprint);
}

/* The first message of a topic with a writer shows whether its schema fits at all: the reason is then that of
 * the schema, not of a message. */
static enum wp_err check_fit(enum wp_topic topic, struct schema_id *known, struct wp_error *error) {
    struct wp_error why;
    if (topic >= WP_TOPICS_IN || !known->owned || known->readable & 1u << topic) return WP_OK;
    if (evolved_check(known->writer->schema.type, &topic_fields[topic], &why))
        return wp_fail(error, WP_ERR_DATA, "the schema with the id %" PRIu32 " (record %s) is none of %s: %s",
                       known->id, known->writer->schema.type->name, wp_topics[topic].name, why.text);
    known->readable |= 1u << topic;
    return WP_OK;
}

static enum wp_err find_id(struct wp_wire *wire, enum wp_topic topic, uint32_t id, struct frame *frame,
                           struct wp_error *error) {
    struct schema_id *known = ids_find(&wire->ids, id, wp_clock_us());
    if (!known) {
        wire->want(wire->want_ctx, id);
        return wp_fail(error, WP_ERR_AGAIN,
                       "the schema registry was asked for the schema with the id %" PRIu32, id);
    }
    if (known->refused)
        return wp_fail(error, WP_ERR_DATA, "the schema with the id %" PRIu32 " %s", id, known->refused);
    frame->writer = known->writer;
    if (!frame->writer) return WP_OK; /* JSON */
    if (frame->writer->topic != WP_TOPICS && frame->writer->topic != topic)
        return right_topic(topic, frame, error);
    return check_fit(topic, known, error);
}

static enum wp_err open_confluent(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                                  struct frame *frame, struct wp_error *error) {
    if (bytes.len < CONFLUENT_HEADER)
        return wp_fail(error, WP_ERR_DATA, "the message ends in its Confluent header of 5 bytes");
    uint32_t id = 0;
    for (unsigned i = 1; i < CONFLUENT_HEADER; i++) id = (id << 8) | (unsigned char)bytes.ptr[i];
    frame->body = (struct wp_str){bytes.ptr + CONFLUENT_HEADER, bytes.len - CONFLUENT_HEADER};
    frame->writer = writers_by_id(&wire->writers, id);
    if (frame->writer) return right_topic(topic, frame, error);
    if (wire->want) return find_id(wire, topic, id, frame, error);
    return wp_fail(error, WP_ERR_DATA,
                   "no schema has the Confluent id %" PRIu32
                   ": name it in wire.confluent_ids, or a schema registry in wire.registry.url",
                   id);
}

static bool may_begin_json(unsigned char first) {
    return first > 0x20 || first == ' ' || first == '\t' || first == '\n' || first == '\r';
}

static enum wp_err recognise(struct wp_str bytes, enum wp_wire_format *ret_format, struct wp_error *error) {
    if (bytes.len == 0) return wp_fail(error, WP_ERR_DATA, "the message is empty");
    unsigned char first = (unsigned char)bytes.ptr[0];
    if (first == MARKER_0 && bytes.len > 1 && bytes.ptr[1] == MARKER_1)
        *ret_format = WP_WIRE_AVRO;
    else if (first == 0)
        *ret_format = WP_WIRE_CONFLUENT;
    else if (may_begin_json(first))
        *ret_format = WP_WIRE_JSON;
    else
        return wp_fail(
            error, WP_ERR_DATA,
            "the first byte %02x begins no known format: neither Avro single-object, Confluent nor JSON",
            first);
    return WP_OK;
}

static enum wp_err accept_format(const struct wp_wire *wire, enum wp_wire_format format,
                                 struct wp_error *error) {
    static const char *const names[] = {
        [WP_WIRE_AVRO] = "avro", [WP_WIRE_CONFLUENT] = "confluent", [WP_WIRE_JSON] = "json"};
    if (wire->accept & (1u << format)) return WP_OK;
    char list[32] = "";
    size_t length = 0;
    for (unsigned i = 0; i <= WP_WIRE_JSON; i++) {
        if (wire->accept & (1u << i))
            length +=
                (size_t)snprintf(list + length, sizeof list - length, "%s%s", length ? ", " : "", names[i]);
    }
    return wp_fail(error, WP_ERR_DATA, "the message is in %s, but wire.read accepts only %s", names[format],
                   list);
}

static enum wp_err open_frame(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                              struct frame *frame, struct wp_error *error) {
    *frame = (struct frame){.body = bytes};
    enum wp_wire_format format = WP_WIRE_JSON;
    enum wp_err err = recognise(bytes, &format, error);
    if (!err) err = accept_format(wire, format, error);
    if (!err && format == WP_WIRE_AVRO) err = open_avro(wire, topic, bytes, frame, error);
    if (!err && format == WP_WIRE_CONFLUENT) err = open_confluent(wire, topic, bytes, frame, error);
    return err;
}

static void write_header(const struct wp_wire *wire, enum wp_topic topic, struct wp_buf *out) {
    if (wire->write == WP_WIRE_AVRO) {
        uint64_t fingerprint = wp_wire_fingerprint(wire, topic);
        unsigned char header[AVRO_HEADER] = {MARKER_0, MARKER_1};
        for (unsigned i = 0; i < 8; i++) header[2 + i] = (unsigned char)(fingerprint >> (8 * i));
        wp_buf_add(out, header, sizeof header);
    } else if (wire->write == WP_WIRE_CONFLUENT) {
        uint32_t id = wire->write_ids[topic];
        unsigned char header[CONFLUENT_HEADER] = {0, (unsigned char)(id >> 24), (unsigned char)(id >> 16),
                                                  (unsigned char)(id >> 8), (unsigned char)id};
        wp_buf_add(out, header, sizeof header);
    }
}

/* ---- the hot path ---- */

static enum wp_err decode_avro(enum wp_topic topic, struct wp_str datum, union wp_event *event,
                               struct wp_error *error) {
    struct avro_reader in = avro_reader(datum);
    const char *field = fields_read_avro(&topic_fields[topic], &in, event);
    if (!in.why && avro_left(&in) > 0) avro_bad(&in, "bytes follow its end");
    if (!in.why) return WP_OK;
    return wp_fail(error, WP_ERR_DATA, "the Avro datum is malformed%s%s at its byte %zu: %s",
                   field ? " in field " : "", field ? field : "",
                   (size_t)(in.bad_at - (const unsigned char *)datum.ptr), in.why);
}

static enum wp_err decode_body(const struct frame *frame, enum wp_topic topic, struct wp_arena *arena,
                               union wp_event *event, struct wp_error *error) {
    if (!frame->writer) return fields_read_json(&topic_fields[topic], frame->body, arena, event, error);
    if (!frame->writer->evolved) return decode_avro(topic, frame->body, event, error);
    return evolved_read(frame->writer->evolved, &topic_fields[topic], frame->body, arena, event, error);
}

enum wp_err wp_wire_decode(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                           struct wp_arena *arena, union wp_event *ret_event, struct wp_error *error) {
    wp_assert(topic < WP_TOPICS_IN);
    struct frame frame;
    fields_clear(&topic_fields[topic], ret_event);
    enum wp_err err = open_frame(wire, topic, bytes, &frame, error);
    if (!err) err = decode_body(&frame, topic, arena, ret_event, error);
    if (!err) err = validate_event(topic, ret_event, error);
    if (err && err != WP_ERR_AGAIN && topic == WP_TOPIC_ACQUIRE) validate_salvage(&ret_event->acquire);
    return err;
}

void wp_wire_encode(struct wp_wire *wire, enum wp_topic topic, const void *event, struct wp_buf *out) {
    wp_assert(topic < WP_TOPICS && topic_fields[topic].list && wp_wire_can_write(wire, topic));
    write_header(wire, topic, out);
    if (wire->write == WP_WIRE_JSON)
        fields_write_json(&topic_fields[topic], event, out);
    else
        fields_write_avro(&topic_fields[topic], event, out);
}

/* ---- the slow path ---- */

static enum wp_err has_schema(enum wp_topic topic, struct wp_error *error) {
    if (topic < WP_TOPIC_DEAD_LETTER) return WP_OK;
    return wp_fail(error, WP_ERR_DATA,
                   "the topic dead-letter has no schema: its records are the original bytes");
}

/* Converts to a datum first, so that the schema's types, defaults and fields hold for JSON too. */
static enum wp_err encode_as_json(const struct type *type, struct scan *in, struct wp_buf *out,
                                  struct wp_error *error) {
    struct wp_buf datum = {0};
    enum wp_err err = datum_from_json(type, in, &datum, error);
    if (!err) err = datum_to_json(type, wp_buf_str(&datum), out, error);
    wp_buf_done(&datum);
    return err;
}

enum wp_err wp_wire_encode_json(struct wp_wire *wire, enum wp_topic topic, struct wp_str json,
                                struct wp_buf *out, struct wp_error *error) {
    struct scan in = scan_text(json);
    size_t before = out->len;
    enum wp_err err = has_schema(topic, error);
    if (err) return err;
    if (!wp_wire_can_write(wire, topic))
        return wp_fail(error, WP_ERR_AGAIN,
                       "the schema registry was not yet asked for the id of the schema of %s",
                       wp_topics[topic].name);
    const struct type *type = wire->writers.current[topic].schema.type;
    write_header(wire, topic, out);
    err = wire->write == WP_WIRE_JSON ? encode_as_json(type, &in, out, error)
                                      : datum_from_json(type, &in, out, error);
    if (err) out->len = before;
    return err;
}

/* Copies one object as one line, with its numbers and strings unchanged. */
static enum wp_err copy_json(struct wp_str text, struct wp_buf *out, struct wp_error *error) {
    struct scan in = scan_text(text);
    struct scan_value json;
    if (!scan_value(&in, &json) || !scan_ends(&in)) return scan_fail(&in, error);
    if (json.kind != SCAN_OBJECT)
        return wp_fail(error, WP_ERR_DATA, "the JSON must be one object, not %s", scan_kind_name(json.kind));
    scan_compact(json.text, out);
    return WP_OK;
}

enum wp_err wp_wire_decode_json(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                                struct wp_buf *out_json, struct wp_error *error) {
    struct frame frame;
    enum wp_err err = has_schema(topic, error);
    if (!err) err = open_frame(wire, topic, bytes, &frame, error);
    if (err) return err;
    if (!frame.writer) return copy_json(frame.body, out_json, error);
    return datum_to_json(frame.writer->schema.type, frame.body, out_json, error);
}
