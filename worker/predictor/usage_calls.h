/* The predictor concern: usage records as arguments of its Redis function, predictions as structs
 * (redis/README.md). */
#ifndef WP_PREDICTOR_USAGE_CALLS_H
#define WP_PREDICTOR_USAGE_CALLS_H
#include "store/columns.h"

void wp_add_usage(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid);
/* One `prediction` array; strings borrow from the reply. False when it is not one. */
bool wp_read_prediction(struct wp_unpack *in, struct wp_prediction *ret);

#endif
