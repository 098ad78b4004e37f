/* Reads datums of a schema that is not the current one: avro-c decodes them with the writer's schema, and the
 * fields go by name into the topic's struct. One thread (avro-c's error text is process-global). */
#ifndef WP_WIRE_EVOLVED_H
#define WP_WIRE_EVOLVED_H
#include "wire/fields.h"
#include "wire/schema.h"

struct evolved;

enum wp_err evolved_new(struct evolved **ret_evolved, const struct schema *schema, const char *file,
                        struct wp_error *error) WP_MUST_CHECK;
void evolved_free(struct evolved *evolved);

/* Reads an input event. Checks the datum's bounds before avro-c sees it. Fields that the writer's schema does
 * not have keep their cleared values; strings are copied into the arena. */
enum wp_err evolved_read(struct evolved *evolved, const struct fields *fields, struct wp_str datum,
                         struct wp_arena *arena, void *event, struct wp_error *error) WP_MUST_CHECK;

/* Whether events can be read with that writer's schema at all: it has the fields that must be there, of types
 * that fit. WP_ERR_DATA: no; the error says why. */
enum wp_err evolved_check(const struct type *type, const struct fields *fields,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
