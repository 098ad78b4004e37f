/* What the schemas' docs promise about an input event, beyond its types. */
#ifndef WP_WIRE_VALIDATE_H
#define WP_WIRE_VALIDATE_H
#include "wire/events.h"
#include "wire/topics.h"

/* Names, ids, ranges, ops and what each op needs; fills in the cache's default namespace. */
enum wp_err validate_event(enum wp_topic topic, union wp_event *event, struct wp_error *error) WP_MUST_CHECK;

/* Of an acquire that is not valid: keeps request_id, agent_id and philosophy as far as they are, and nothing
 * when it cannot be answered. */
void validate_salvage(struct wp_acquire *acquire);

#endif
