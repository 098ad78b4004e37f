/* Why containers end: the word that the reason of a `lost` lease begins with, and the label by which ends are
 * counted. Pure. */
#ifndef WP_CORE_ENDS_H
#define WP_CORE_ENDS_H
#include "core/str.h"

enum wp_end {                       /* of a container that had been ready, and was not to be destroyed */
              WP_END_EXITED,        /* by itself */
              WP_END_KILLED,        /* by a signal */
              WP_END_OUT_OF_MEMORY, /* by the kernel, at its memory limit */
              WP_END_REMOVED,       /* by somebody else: it is not there any more */
              WP_END_UNHEALTHY,     /* by its own health check */
              WP_END_NOT_PREPARED,  /* it could not be resumed or reset for its next use */
              WP_ENDS,
};

extern const char *const wp_end_words[WP_ENDS + 1]; /* exited, killed, out_of_memory, ..., other */

/* The end that a reason tells, as "killed: signal 9 ended it". WP_ENDS: it does not begin with one of the
 * words. */
enum wp_end wp_end_of(struct wp_str reason);

#endif
