/* The codec between the bytes of a Kafka record and the structs of wire/events.h. Knows the embedded schemas,
 * the accepted framings, the table of Confluent ids and the writer schemas of wire.schemas. One thread
 * (avro-c's error text is process-global).
 *
 *   C3 01, 8 bytes CRC-64-AVRO fingerprint (little-endian), datum: Avro single-object encoding (1.11)
 *   00, 4 bytes schema id (big-endian), datum: Confluent wire format
 *   a first byte that is white space or not a control character: one JSON object
 */
#ifndef WP_WIRE_WIRE_H
#define WP_WIRE_WIRE_H
#include "wire/topics.h"
#include "core/arena.h"
#include "wire/events.h"

struct wp_wire; /* the codec with its schemas */

enum wp_err wp_wire_new(struct wp_wire **ret_wire, const struct wp_config *config,
                        struct wp_error *error) WP_MUST_CHECK;
void wp_wire_free(struct wp_wire *wire);

/* Decodes and validates names, ids, limits, ranges and ops. Strings of *ret_event borrow from bytes or arena.
 * WP_ERR_DATA: error->text is the dead-letter reason. After an error, an acquire with a valid request_id
 * still has it set, and agent_id and philosophy where they are valid, so that it can be answered. */
enum wp_err wp_wire_decode(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                           struct wp_arena *arena, union wp_event *ret_event,
                           struct wp_error *error) WP_MUST_CHECK;

/* Appends the record in the configured framing (wire.write). `event` is the struct of that topic (struct
 * wp_acquire, ..., struct wp_assignment, ...; not metrics). */
void wp_wire_encode(struct wp_wire *wire, enum wp_topic topic, const void *event, struct wp_buf *out);

/* The slow path, for metrics, `send` and `tail`: any topic with a schema <-> JSON text of the same fields. */
enum wp_err wp_wire_encode_json(struct wp_wire *wire, enum wp_topic topic, struct wp_str json,
                                struct wp_buf *out, struct wp_error *error) WP_MUST_CHECK;
enum wp_err wp_wire_decode_json(struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes,
                                struct wp_buf *out_json, struct wp_error *error) WP_MUST_CHECK;

/* CRC-64-AVRO of the topic's current schema in Parsing Canonical Form. */
uint64_t wp_wire_fingerprint(const struct wp_wire *wire, enum wp_topic topic);

#endif
