/* Publishes a recorded trace: arrivals at their (scaled) times whatever the answers do, and each run in a
 * closed loop: acquire, wait for the assignment, hold, release, record the usage; beside it each run looks
 * for its tool's metadata in the cache and puts it there when it is missing. Measures what a client sees. One
 * thread, blocks. */
#ifndef WP_CLI_REPLAY_H
#define WP_CLI_REPLAY_H
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include "cli/trace.h"
#include "core/config.h"
#include "core/histogram.h"

struct wp_replay_options {
    double speed;                      /* 960: the trace runs 960 times faster */
    bool live_line;                    /* a line on stderr every second, on a terminal always the same */
    int64_t wait_ms;                   /* how long after the last arrival its answer may take */
    const volatile sig_atomic_t *stop; /* set: no more arrivals, release what is held, end */
};

struct wp_replay_result {
    uint64_t acquires, assigned, warm, rejected, lost, repeated; /* repeated: an answer that came again */
    uint64_t lookups, hits, predictions, dead_letters, events;   /* events: records published */
    uint64_t unanswered;         /* acquires without an answer when the wait was over */
    uint64_t cache_unanswered;   /* the same of cache events */
    struct wp_histogram acquire; /* send to assignment received */
    double duration_seconds;     /* first arrival to last answer */
    size_t philosophies;
    char rejected_reason[128], dead_letter_reason[256]; /* the first one of each */
};

enum wp_err wp_replay_run(const struct wp_config *config, const struct wp_trace *trace,
                          const struct wp_replay_options *options, struct wp_replay_result *ret,
                          struct wp_error *error) WP_MUST_CHECK;

void wp_replay_print_line(const struct wp_replay_result *result, double seconds, uint64_t holding, FILE *out);
void wp_replay_print_table(const struct wp_replay_result *result, FILE *out);
json_t *wp_replay_json(const struct wp_replay_result *result); /* owned by the caller */

#endif
