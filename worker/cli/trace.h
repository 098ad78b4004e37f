/* A recorded trace: CSV with the header `at_ms,philosophy,hold_ms,cpu_percent,memory_mb`, ordered by at_ms
 * (demo/README.md). */
#ifndef WP_CLI_TRACE_H
#define WP_CLI_TRACE_H
#include <stdint.h>
#include "core/err.h"
#include "core/str.h"

struct wp_trace_run {
    int64_t at_ms, hold_ms; /* of the recording, not scaled */
    double cpu_percent, memory_mb;
    size_t philosophy; /* index of names */
};

struct wp_trace {
    struct wp_trace_run *runs; /* owned, at least one */
    size_t count, runs_cap;
    char **names; /* owned */
    size_t names_count, names_cap;
};

/* WP_ERR_DATA: malformed; the error names file and line. WP_ERR_SYSTEM: the file cannot be read. */
enum wp_err wp_trace_load(struct wp_trace *ret_trace, const char *path, struct wp_error *error) WP_MUST_CHECK;
void wp_trace_done(struct wp_trace *trace);

#endif
