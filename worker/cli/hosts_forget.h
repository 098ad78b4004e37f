/* `warmpool hosts forget NAME`: gives up a host that never returns. */
#ifndef WP_CLI_HOSTS_FORGET_H
#define WP_CLI_HOSTS_FORGET_H
#include "store/sync_call.h"

/* Publishes that the host is given up, and waits until Redis does not know it any more, for `timeout` seconds
 * at most. A host that is not known is no error; WP_ERR_DATA: its worker is alive. */
enum wp_err wp_host_forget(redisContext *redis, const struct wp_config *config, const char *name,
                           double timeout, struct wp_error *error) WP_MUST_CHECK;

#endif
