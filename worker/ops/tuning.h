/* Tuning: with tuning.mode = apply a low hit rate doubles the cache, and a low rate of warm starts adds five
 * to the pool's size, once in tuning.interval for any number of workers. Internal to ops/. */
#ifndef WP_OPS_TUNING_H
#define WP_OPS_TUNING_H
#include "ops/shared.h"

struct tuning *tuning_new(const struct ops_base *base);
/* To be called after the shared figures were read. */
void tuning_consider(struct tuning *tuning, const struct shared *shared);
/* The changes of the last interval, an array of sentences. Borrowed. */
json_t *tuning_applied(const struct tuning *tuning);
const char *tuning_mode_name(enum wp_tuning mode);
void tuning_free(struct tuning *tuning); /* NULL is fine */

#endif
