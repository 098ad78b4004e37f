/* What Redis knows of hosts and their containers, for `warmpool hosts`. The caller owns what is returned. */
#ifndef WP_CLI_HOSTS_READ_H
#define WP_CLI_HOSTS_READ_H
#include "store/sync_call.h"

/* The answer of wp_hosts: {"hosts": {NAME: {...}}, "gone": {NAME: {...}}}. */
enum wp_err wp_hosts_read(json_t **ret, redisContext *redis, const struct wp_config *config,
                          struct wp_error *error) WP_MUST_CHECK;
/* The host's containers, as an array of {container_id, philosophy, state, request_id}. */
enum wp_err wp_host_containers(json_t **ret, redisContext *redis, const struct wp_config *config,
                               const char *name, struct wp_error *error) WP_MUST_CHECK;
/* How many of them there are in each state: {"idle": 3, ...}. */
enum wp_err wp_host_count(json_t **ret, redisContext *redis, const struct wp_config *config, const char *name,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
