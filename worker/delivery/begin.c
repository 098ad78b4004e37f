/* Delivery rule 6. Pure; calls nobody. */
#include "delivery/begin.h"

struct wp_begin wp_begin_decide(const struct wp_begin_facts *facts) {
    bool committed = facts->committed >= 0;
    if (facts->floor < 0 && !committed) return (struct wp_begin){WP_BEGIN_SET_FLOOR, facts->low, false};
    if (facts->floor < 0) {
        if (!facts->recovered) return (struct wp_begin){WP_BEGIN_RECOVER, facts->committed, true};
        /* Go on at the commit if the log still has that offset: events before it are not handled twice. */
        bool there = facts->committed >= facts->low && facts->committed <= facts->high;
        return (struct wp_begin){WP_BEGIN_SET_FLOOR, there ? facts->committed : facts->low, true};
    }
    int64_t start = committed && facts->committed < facts->floor ? facts->committed : facts->floor;
    /* All events below the floor are done, so it does no harm that the log has lost them. */
    if (start < facts->low && facts->floor >= facts->low) start = facts->low;
    bool there = facts->floor <= facts->high && start >= facts->low;
    return (struct wp_begin){there ? WP_BEGIN_AT : WP_BEGIN_BLOCKED, start, false};
}
