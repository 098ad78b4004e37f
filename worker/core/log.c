/* Structured log lines on stderr. The only state is the level and the number of dropped lines, both atomic. A
 * line is built on the caller's stack and heap and written with one write(2), so that lines of several
 * threads do not mix. Any thread. */
#include "core/log.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/clock.h"

#define VALUE_MAX 1024 /* bytes of one text value: a line stays readable whatever a client sends */

static _Atomic int threshold = WP_LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void wp_log_set_level(enum wp_log_level level) {
    atomic_store(&threshold, (int)level);
}
enum wp_log_level wp_log_level(void) {
    return (enum wp_log_level)atomic_load(&threshold);
}

enum wp_err wp_log_parse_level(const char *text, enum wp_log_level *ret_level) {
    for (int i = WP_LOG_DEBUG; i <= WP_LOG_ERROR; i++) {
        if (strcmp(text, level_names[i]) != 0) continue;
        *ret_level = (enum wp_log_level)i;
        return WP_OK;
    }
    return WP_ERR_CONFIG;
}

static void add_timestamp(struct wp_buf *line) {
    int64_t now = wp_clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    wp_buf_printf(line, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(now % 1000));
}

/* U+0080 to U+009F in UTF-8: terminals act on them as on escape sequences. */
static bool is_control(struct wp_str value, size_t i) {
    return (unsigned char)value.ptr[i] == 0xc2 && i + 1 < value.len && (unsigned char)value.ptr[i + 1] < 0xa0;
}

static bool needs_quotes(struct wp_str value) {
    if (value.len == 0 || !wp_str_is_utf8(value)) return true;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f || is_control(value, i)) return true;
    }
    return false;
}

static void add_escaped(struct wp_buf *line, unsigned char c, bool utf8) {
    if (c == '"' || c == '\\')
        wp_buf_printf(line, "\\%c", c);
    else if (c == '\n')
        wp_buf_add_str(line, "\\n");
    else if (c == '\r')
        wp_buf_add_str(line, "\\r");
    else if (c == '\t')
        wp_buf_add_str(line, "\\t");
    else if (c < ' ' || c == 0x7f || (c >= 0x80 && !utf8))
        wp_buf_printf(line, "\\x%02x", c);
    else
        wp_buf_add(line, &c, 1);
}

static void add_text(struct wp_buf *line, struct wp_str value) {
    bool cut = value.len > VALUE_MAX;
    if (cut) { /* before a UTF-8 character, not inside it */
        value.len = VALUE_MAX;
        while (value.len > VALUE_MAX - 4 && ((unsigned char)value.ptr[value.len] & 0xc0) == 0x80) value.len--;
    }
    if (!cut && !needs_quotes(value)) {
        wp_buf_add(line, value.ptr, value.len);
        return;
    }
    bool utf8 = wp_str_is_utf8(value);
    wp_buf_add_str(line, "\"");
    for (size_t i = 0; i < value.len; i++) {
        if (utf8 && is_control(value, i))
            wp_buf_printf(line, "\\u%04x", (unsigned char)value.ptr[++i]);
        else
            add_escaped(line, (unsigned char)value.ptr[i], utf8);
    }
    wp_buf_add_str(line, cut ? "...\"" : "\"");
}

struct conversion {
    int precision; /* -1 = none */
    bool star;     /* the precision is an argument */
    enum { INT, LONG, LONG_LONG, SIZE } width;
    char kind;
};

/* Reads what follows a '%'; returns where the format goes on. */
static const char *parse_conversion(const char *at, struct conversion *ret) {
    *ret = (struct conversion){.precision = -1};
    if (*at == '.') {
        at++;
        ret->star = *at == '*';
        if (ret->star)
            at++;
        else
            ret->precision = 0;
        for (; *at >= '0' && *at <= '9'; at++) ret->precision = ret->precision * 10 + (*at - '0');
    }
    for (; *at == 'l'; at++) ret->width = ret->width == LONG ? LONG_LONG : LONG;
    if (*at == 'z') {
        ret->width = SIZE;
        at++;
    }
    ret->kind = *at;
    wp_assert(ret->kind != '\0' && strchr("sduxf%", ret->kind));
    return at + 1;
}

/* va_list inside a struct: it can then be handed on by pointer on every platform. */
struct arguments {
    va_list list;
};

static long long signed_argument(struct arguments *args, const struct conversion *c) {
    switch (c->width) {
    case LONG:
        return va_arg(args->list, long);
    case LONG_LONG:
        return va_arg(args->list, long long);
    case SIZE:
        return (long long)va_arg(args->list, size_t);
    default:
        return va_arg(args->list, int);
    }
}

static unsigned long long unsigned_argument(struct arguments *args, const struct conversion *c) {
    switch (c->width) {
    case LONG:
        return va_arg(args->list, unsigned long);
    case LONG_LONG:
        return va_arg(args->list, unsigned long long);
    case SIZE: // NOLINT(bugprone-branch-clone): size_t is another type elsewhere
        return va_arg(args->list, size_t);
    default:
        return va_arg(args->list, unsigned);
    }
}

static void add_string_argument(struct wp_buf *line, struct arguments *args, const struct conversion *c) {
    int limit = c->star ? va_arg(args->list, int) : c->precision;
    const char *text = va_arg(args->list, const char *);
    if (!text) text = "";
    struct wp_str value = {text, limit < 0 ? strlen(text) : strnlen(text, (size_t)limit)};
    add_text(line, value);
}

static void add_argument(struct wp_buf *line, struct arguments *args, const struct conversion *c) {
    switch (c->kind) {
    case 's':
        add_string_argument(line, args, c);
        break;
    case 'd':
        wp_buf_printf(line, "%lld", signed_argument(args, c));
        break;
    case 'u':
        wp_buf_printf(line, "%llu", unsigned_argument(args, c));
        break;
    case 'x':
        wp_buf_printf(line, "%llx", unsigned_argument(args, c));
        break;
    case 'f':
        wp_buf_printf(line, "%.*f", c->precision < 0 ? 6 : c->precision, va_arg(args->list, double));
        break;
    default:
        wp_buf_add_str(line, "%");
        break;
    }
}

static void add_fields(struct wp_buf *line, const char *fields, struct arguments *args) {
    for (const char *at = fields; *at;) {
        if (*at != '%') {
            wp_buf_add(line, at++, 1);
            continue;
        }
        struct conversion conversion;
        at = parse_conversion(at + 1, &conversion);
        add_argument(line, args, &conversion);
    }
}

/* False when a write would block, because nobody reads the pipe or terminal at stderr. Async-signal-safe. */
static bool takes_a_line(void) {
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) != 0; /* errors are left to write(2) */
}

/* A pipe that takes anything takes PIPE_BUF bytes without blocking. */
static void cut(struct wp_buf *line) {
    if (line->len <= PIPE_BUF) return;
    line->len = PIPE_BUF - 4;
    wp_buf_add_str(line, "...\n");
}

void wp_log_signal_safe(const char *line, size_t bytes) {
    if (!takes_a_line()) return;
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written;
}

static void write_line(struct wp_buf *line) {
    static _Atomic unsigned dropped;
    if (!takes_a_line()) {
        atomic_fetch_add(&dropped, 1);
        return;
    }
    unsigned before = atomic_exchange(&dropped, 0);
    if (before > 0) wp_buf_printf(line, " log_lines_dropped=%u", before);
    wp_buf_add_str(line, "\n");
    cut(line);
    ssize_t written = write(STDERR_FILENO, line->data, line->len);
    (void)written; /* there is nowhere to report that the log cannot be written */
}

void wp_log(enum wp_log_level level, const char *event, const char *fields, ...) {
    if (level < wp_log_level()) return;
    int saved_errno = errno;
    struct wp_buf line = {0};
    add_timestamp(&line);
    wp_buf_printf(&line, " level=%s event=%s", level_names[level], event);
    if (*fields) {
        wp_buf_add_str(&line, " ");
        struct arguments args;
        va_start(args.list, fields);
        add_fields(&line, fields, &args);
        va_end(args.list);
    }
    write_line(&line);
    wp_buf_done(&line);
    errno = saved_errno;
}
