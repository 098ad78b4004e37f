/* Structured log lines on stderr: `ts=2026-01-02T03:04:05.678Z level=info event=kafka_ready brokers=...
 * partitions=6`. Values with spaces, quotes or control characters are quoted and escaped. One write(2) a
 * line. Never blocks: while stderr is full and nobody reads it lines are dropped, and the next one that is
 * written counts them (log_lines_dropped). Any thread may log. */
#ifndef WP_CORE_LOG_H
#define WP_CORE_LOG_H
#include <stddef.h>
#include "core/err.h"

enum wp_log_level { WP_LOG_DEBUG, WP_LOG_INFO, WP_LOG_WARN, WP_LOG_ERROR };

void wp_log_set_level(enum wp_log_level level);
enum wp_log_level wp_log_level(void);
/* Parses "debug", "info", "warn", "error". */
enum wp_err wp_log_parse_level(const char *text, enum wp_log_level *ret_level) WP_MUST_CHECK;

/* event is a closed vocabulary of snake_case words. Then pairs of key and format with its values:
 *   wp_log(WP_LOG_INFO, "partition_started", "topic=%s partition=%d offset=%lld", topic, n, offset);
 * In `fields` every conversion is one value; a %s value is escaped as needed. Supported: %s %d %u %lld %llu
 * %zu %f %.Nf and %.*s. */
void wp_log(enum wp_log_level level, const char *event, const char *fields, ...) WP_PRINTF(3, 4);

/* Writes a whole line, with its end, at most PIPE_BUF bytes. For signal handlers; never blocks. */
void wp_log_signal_safe(const char *line, size_t bytes);

#endif
