/* The sweeper: asks Redis when a deadline of the shared state is due, and publishes the event that has it
 * handled. Internal to ops/. */
#ifndef WP_OPS_SWEEPER_H
#define WP_OPS_SWEEPER_H
#include "ops/base.h"

struct sweeper *sweeper_new(const struct ops_base *base);
void sweeper_configure(struct sweeper *sweeper); /* the interval may have changed */
/* Only the owner of partition 0 of container-event sweeps. */
void sweeper_set_owner(struct sweeper *sweeper, bool owner);
void sweeper_stop(struct sweeper *sweeper);
void sweeper_free(struct sweeper *sweeper); /* NULL is fine */

#endif
