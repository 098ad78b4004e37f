/* Structured log lines on stderr, as logfmt or JSON. Logfmt: `ts=2026-01-02T03:04:05.678Z level=info
 * event=kafka_ready brokers=... partitions=6`. Values with spaces, quotes or control characters are quoted
 * and escaped. One write(2) a line. Never blocks: while stderr is full and nobody reads it lines are dropped,
 * and the next one that is written counts them (log_lines_dropped). A JSON line is one object with the same
 * names; numbers are numbers. Where stderr is systemd's journal a line begins with its level, as journald
 * takes it ("<3>"). Any thread may log. */
#ifndef WP_CORE_LOG_H
#define WP_CORE_LOG_H
#include <stddef.h>
#include "core/err.h"

enum wp_log_level { WP_LOG_DEBUG, WP_LOG_INFO, WP_LOG_WARN, WP_LOG_ERROR };
enum wp_log_format { WP_LOG_LOGFMT, WP_LOG_JSON };

void wp_log_set_format(enum wp_log_format wanted);
enum wp_log_format wp_log_format(void);

void wp_log_set_level(enum wp_log_level level);
enum wp_log_level wp_log_level(void);
/* Parses "debug", "info", "warn", "error". */
enum wp_err wp_log_parse_level(const char *text, enum wp_log_level *ret_level) WP_MUST_CHECK;

/* event is a closed vocabulary of snake_case words. Then pairs of key and format with its values:
 *   wp_log(WP_LOG_INFO, "partition_started", "topic=%s partition=%d offset=%lld", topic, n, offset);
 * In `fields` every conversion is one value; a %s value is escaped as needed. Supported: %s %d %u %lld %llu
 * %zu %f %.Nf and %.*s. */
void wp_log(enum wp_log_level level, const char *event, const char *fields, ...) WP_PRINTF(3, 4);

/* A line without a time, for signal handlers; never blocks. event and reason: plain text, without quotes. */
void wp_log_signal_safe(enum wp_log_level level, const char *event, const char *reason);

#endif
