/* Publishes a recorded trace: arrivals at their (scaled) times whatever the answers do, and each run in a
 * closed loop: acquire, wait for the assignment, hold, release, record the usage; beside it each run looks
 * for its tool's metadata in the cache and puts it there when it is missing. Measures what a client sees. One
 * thread, blocks. */
#ifndef WP_CLI_REPLAY_RUN_H
#define WP_CLI_REPLAY_RUN_H
#include <signal.h>
#include "cli/replay_result.h"
#include "cli/trace.h"
#include "core/config.h"

struct wp_replay_options {
    double speed;                      /* 960: the trace runs 960 times faster */
    bool live_line;                    /* a line on stderr every second, on a terminal always the same */
    int64_t wait_ms;                   /* how long after the last arrival its answer may take */
    const volatile sig_atomic_t *stop; /* set: no more arrivals, release what is held, end */
};

enum wp_err wp_replay_run(const struct wp_config *config, const struct wp_trace *trace,
                          const struct wp_replay_options *options, struct wp_replay_result *ret,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
