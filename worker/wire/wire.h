/* The codec between the bytes of a Kafka record and the structs of wire/events.h. Knows the embedded schemas,
 * the accepted framings, the table of Confluent ids, the writer schemas of wire.schemas, and those that a
 * schema registry has given. One thread
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
 * WP_ERR_AGAIN: only after wp_wire_ask_ids, see there.
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

/* ---- ids of the Confluent format that a schema registry knows (registry/) ---- */

/* From now on a message with an id that is neither known nor in wire.confluent_ids is not refused: want(ctx,
 * id) is called, each time that such a message is met, and the decode functions return WP_ERR_AGAIN until the
 * id was learned or refused. */
void wp_wire_ask_ids(struct wp_wire *wire, void (*want)(void *ctx, uint32_t id), void *ctx);
/* The id's schema in Avro. WP_ERR_DATA: it cannot be used, and the id is refused; error->text says why. */
enum wp_err wp_wire_learn_avro(struct wp_wire *wire, uint32_t id, struct wp_str schema,
                               struct wp_error *error) WP_MUST_CHECK;
/* The id's schema is one of JSON Schema: a JSON object follows the header, which is not checked against it.
 * The same error. */
enum wp_err wp_wire_learn_json(struct wp_wire *wire, uint32_t id, struct wp_error *error) WP_MUST_CHECK;
/* Messages with the id cannot be read, because of `why`, a clause; asked for again after ttl_us; 0: never. */
void wp_wire_refuse_id(struct wp_wire *wire, uint32_t id, const char *why, int64_t ttl_us);
/* Whether events of the input topic can be read with that Avro schema. WP_ERR_DATA: no; the error says why.
 */
enum wp_err wp_wire_check_schema(struct wp_wire *wire, enum wp_topic topic, struct wp_str schema,
                                 struct wp_error *error) WP_MUST_CHECK;
/* How many schemas were learned and are kept. */
size_t wp_wire_learned(const struct wp_wire *wire);

/* Whether records of the topic can be encoded: always, but for wire.write = confluent without the id. */
bool wp_wire_can_write(const struct wp_wire *wire, enum wp_topic topic);
/* The id of the topic's current schema, to write and to read. */
void wp_wire_set_write_id(struct wp_wire *wire, enum wp_topic topic, uint32_t id);
/* The full name of the topic's record: "warmpool.ContainerAcquire". */
const char *wp_wire_record_name(const struct wp_wire *wire, enum wp_topic topic);

/* CRC-64-AVRO of the topic's current schema in Parsing Canonical Form. */
uint64_t wp_wire_fingerprint(const struct wp_wire *wire, enum wp_topic topic);

#endif
