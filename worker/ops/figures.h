/* Figures that are in no counter: from Redis' answers, and from the process. Internal to ops/. */
#ifndef WP_OPS_FIGURES_H
#define WP_OPS_FIGURES_H
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdint.h>

/* A number of a JSON object, 0 when there is none. */
static inline double figure_of(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}
static inline int64_t count_of(const json_t *object, const char *name) {
    return (int64_t)figure_of(object, name);
}
/* The JSON object in a read function's reply; NULL when there is none. Owned by the caller. */
json_t *wp_ops_parse(const redisReply *reply);
/* Resident memory of this process, bytes; 0 when /proc is not there. */
uint64_t wp_ops_rss_bytes(void);

#endif
