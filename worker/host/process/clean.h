/* What runs below a container's shim: which processes were there when the container became ready, and ending
 * all others. Reads /proc. One thread: the loop's. */
#ifndef WP_HOST_PROCESS_CLEAN_H
#define WP_HOST_PROCESS_CLEAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wp_kept { /* zeroed: none */
    struct wp_below {
        pid_t pid;
        uint64_t began; /* in ticks since boot: a number may be given to another process */
    } * list;           /* owned */
    size_t count;
};

void wp_kept_set(struct wp_kept *kept, pid_t shim);
void wp_kept_done(struct wp_kept *kept);
/* Kills all others. *ret_going: those that were killed; initialised. */
void wp_kept_end_others(const struct wp_kept *kept, pid_t shim, struct wp_kept *ret_going);
/* False: some of those that were killed are still there, or (*ret_missed) there is one to be killed yet. */
bool wp_kept_are_gone(const struct wp_kept *kept, pid_t shim, const struct wp_kept *going, bool *ret_missed);

#endif
