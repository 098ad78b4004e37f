/* What differs between two configurations, and which of it a running worker can take over. */
#ifndef WP_CORE_CONFIG_CHANGES_H
#define WP_CORE_CONFIG_CHANGES_H
#include "core/config.h"

struct wp_config_change {
    char *key;            /* owned, as all of these; a family's with its member: "pool.size.react" */
    char *before, *after; /* as they may be shown: without secrets. NULL: a family has no such key */
    enum wp_applies applies;
};
struct wp_config_changes { /* zero-initialised is empty */
    struct wp_config_change *list;
    size_t count;
    size_t waiting; /* how many of them wait for a restart */
};

/* Adds every key whose value differs, in the order of the table. */
void wp_config_compare(const struct wp_config *before, const struct wp_config *after,
                       struct wp_config_changes *ret);
void wp_config_changes_done(struct wp_config_changes *changes);

/* Fills *ret with a copy. The caller owns it (wp_config_done). */
void wp_config_copy(struct wp_config *ret, const struct wp_config *from);
/* Exchanges the values of all keys that do not wait for a restart. Texts of `config` that somebody has
 * borrowed belong to `other` afterwards. */
void wp_config_exchange(struct wp_config *config, struct wp_config *other);

#endif
