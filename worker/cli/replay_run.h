/* Publishes a recorded trace. Runs arrive at their scaled times, however slow the answers are. Each run
 * acquires a container, waits for the assignment, holds the container, releases it and records its usage; it
 * also looks up its tool's metadata in the cache and adds it when it is missing. Measures what a client sees.
 * One thread, blocks. */
#ifndef WP_CLI_REPLAY_RUN_H
#define WP_CLI_REPLAY_RUN_H
#include <signal.h>
#include "cli/replay_result.h"
#include "cli/trace.h"
#include "core/config.h"

struct wp_replay_options {
    double speed;    /* 960: the trace runs 960 times faster */
    bool live_line;  /* print progress on stderr: a line a second, overwritten on a terminal */
    int64_t wait_ms; /* how long to wait for answers after the last arrival */
    const volatile sig_atomic_t *stop; /* set: no more arrivals, release what is held, end */
};

enum wp_err wp_replay_run(const struct wp_config *config, const struct wp_trace *trace,
                          const struct wp_replay_options *options, struct wp_replay_result *ret,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
