/* The predictor concern: packs usage records as arguments of their Redis function (redis/README.md). */
#ifndef WP_PREDICTOR_USAGE_CALLS_H
#define WP_PREDICTOR_USAGE_CALLS_H
#include "store/columns.h"

enum { WP_USAGE_COLUMNS = 6 }; /* of a batch */

void wp_add_usage(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid);

#endif
