/* The hosts that this one replaces (host.replaces): they never return, and their containers run on at the
 * engine that they had in common. This host removes those of which Redis says that nobody needs them: it has
 * forgotten their host, and no worker holds that host's name. One thread: the loop's. */
#ifndef WP_HOST_REPLACED_H
#define WP_HOST_REPLACED_H
#include "host/containers.h"
#include "host/pins.h"
#include "store/link.h"

#define WP_REPLACED_AT_ONCE 48 /* containers in one call: the arguments of a call are bounded */

struct host_replaced {
    const struct held_table *table; /* borrowed, as the next two */
    struct wp_link *link;
    struct host_pins *pins;
    char name[72];                  /* the host whose containers are looked at */
    const char *rest;               /* of host.replaces, behind that name */
    char *ids[WP_REPLACED_AT_ONCE]; /* its containers, owned */
    int count, removing, removed;
    bool full;    /* it may have more */
    bool running; /* from the first host to the last */
    bool stopped;
};

/* WP_ERR_CONFIG: host.replaces has what is no name, this host's own name, or is set for a runtime whose
 * containers end with their worker. */
enum wp_err wp_replaced_check(const struct wp_config *config, const struct wp_runtime_driver *driver,
                              struct wp_error *error) WP_MUST_CHECK;
/* Looks at each of the hosts, and removes what is left of them. Does nothing while that is under way. */
void wp_replaced_look(struct host_replaced *replaced);
void wp_replaced_stop(struct host_replaced *replaced);

#endif
