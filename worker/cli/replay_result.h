/* The figures of a replay, as a client of the workers sees them. */
#ifndef WP_CLI_REPLAY_RESULT_H
#define WP_CLI_REPLAY_RESULT_H
#include <stddef.h>
#include <stdint.h>
#include "core/histogram.h"

struct wp_replay_result {
    uint64_t acquires, assigned, warm, rejected, lost,
        repeated; /* repeated: further answers to an answered request */
    uint64_t lookups, hits, predictions, dead_letters, events; /* events: records published */
    uint64_t unanswered;         /* acquires without an answer when the wait was over */
    uint64_t cache_unanswered;   /* cache events, likewise */
    struct wp_histogram acquire; /* send to assignment received */
    struct wp_histogram second;  /* the same, of those answered in the last whole second */
    double duration_seconds;     /* first arrival to last answer */
    size_t philosophies;
    char rejected_reason[128], dead_letter_reason[256]; /* the first one of each */
};

#endif
