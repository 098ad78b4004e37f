/* What is done about rates that are low: with tuning.mode = apply the cache is doubled and the pool gets five
 * more, once every tuning.interval whatever the number of workers. Internal to ops/. */
#ifndef WP_OPS_TUNING_H
#define WP_OPS_TUNING_H
#include "ops/shared.h"

struct tuning *tuning_new(const struct ops_base *base);
/* Looks at figures that have just been read. */
void tuning_consider(struct tuning *tuning, const struct shared *shared);
/* An array of sentences, what was changed in the last interval. Borrowed. */
json_t *tuning_applied(const struct tuning *tuning);
const char *tuning_mode_name(enum wp_tuning mode);
void tuning_free(struct tuning *tuning); /* NULL is fine */

#endif
