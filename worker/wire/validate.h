/* The rules for input events that the docs of the schemas state, beyond the types. */
#ifndef WP_WIRE_VALIDATE_H
#define WP_WIRE_VALIDATE_H
#include "wire/events.h"
#include "wire/topics.h"

/* Checks names, ids, ranges, ops and the fields that each op needs; sets the cache's default namespace. */
enum wp_err validate_event(enum wp_topic topic, union wp_event *event, struct wp_error *error) WP_MUST_CHECK;

/* For an invalid acquire: keeps request_id, agent_id and philosophy if they are valid, and clears the rest.
 * Clears everything when request_id is not valid, because such an acquire cannot be answered. */
void validate_salvage(struct wp_acquire *acquire);

#endif
