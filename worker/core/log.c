/* Structured log lines on stderr. The only state are the level, the format, whether stderr is the journal,
 * and the number of dropped lines, all atomic. A line is built on the caller's stack and heap and written
 * with one write(2), so that lines of several threads do not mix. Any thread. */
#include "core/log.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/clock.h"

#define VALUE_MAX 1024 /* bytes of one text value: a line stays readable whatever a client sends */

static _Atomic int threshold = WP_LOG_INFO;
static _Atomic int format = WP_LOG_LOGFMT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void wp_log_set_level(enum wp_log_level level) {
    atomic_store(&threshold, (int)level);
}
enum wp_log_level wp_log_level(void) {
    return (enum wp_log_level)atomic_load(&threshold);
}

void wp_log_set_format(enum wp_log_format wanted) {
    atomic_store(&format, (int)wanted);
}
enum wp_log_format wp_log_format(void) {
    return (enum wp_log_format)atomic_load(&format);
}

/* ---- journald ---- */

/* JOURNAL_STREAM is the device and the inode of the socket that systemd gave to the process as its standard
 * error, in decimal: systemd.exec(5). A child, or a redirection, may have another standard error. */
static bool is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat own;
    char text[64];
    if (!stream || fstat(STDERR_FILENO, &own) != 0) return false;
    (void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)own.st_dev,
                   (unsigned long long)own.st_ino);
    return strcmp(stream, text) == 0;
}

/* The prefix by which journald knows a line's level: sd-daemon(3). Looks at standard error once. */
static const char *prefix_of(enum wp_log_level level) {
    static const char *const prefixes[] = {"<7>", "<6>", "<4>", "<3>"};
    static _Atomic int known; /* 0: not yet, 1: it is the journal, 2: it is not */
    int journal = atomic_load(&known);
    if (journal == 0) atomic_store(&known, journal = is_journal() ? 1 : 2);
    return journal == 1 ? prefixes[level] : "";
}

enum wp_err wp_log_parse_level(const char *text, enum wp_log_level *ret_level) {
    for (int i = WP_LOG_DEBUG; i <= WP_LOG_ERROR; i++) {
        if (strcmp(text, level_names[i]) != 0) continue;
        *ret_level = (enum wp_log_level)i;
        return WP_OK;
    }
    return WP_ERR_CONFIG;
}

static void add_time(struct wp_buf *line) {
    int64_t now = wp_clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    wp_buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
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

static struct wp_str string_argument(struct arguments *args, const struct conversion *c) {
    int limit = c->star ? va_arg(args->list, int) : c->precision;
    const char *text = va_arg(args->list, const char *);
    if (!text) text = "";
    return (struct wp_str){text, limit < 0 ? strlen(text) : strnlen(text, (size_t)limit)};
}

/* Any but a text. */
static void add_number(struct wp_buf *line, struct arguments *args, const struct conversion *c) {
    switch (c->kind) {
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
        if (conversion.kind == 's')
            add_text(line, string_argument(args, &conversion));
        else
            add_number(line, args, &conversion);
    }
}

/* ---- JSON ---- */

static void add_json_char(struct wp_buf *line, const char *at, size_t length) {
    unsigned char c = (unsigned char)*at;
    if (length == 0)
        wp_buf_add_str(line, "\\ufffd"); /* no UTF-8 */
    else if (c == '"' || c == '\\')
        wp_buf_printf(line, "\\%c", c);
    else if (c < ' ' || c == 0x7f)
        wp_buf_printf(line, "\\u%04x", c);
    else if (length == 2 && is_control((struct wp_str){at, length}, 0))
        wp_buf_printf(line, "\\u%04x", (unsigned char)at[1]);
    else
        wp_buf_add(line, at, length);
}

/* At most `most` bytes of it; what is cut ends with "...". */
static void add_json_text(struct wp_buf *line, struct wp_str value, size_t most) {
    size_t i = 0;
    wp_buf_add_str(line, "\"");
    while (i < value.len && i < most) {
        size_t length = wp_str_char((struct wp_str){value.ptr + i, value.len - i});
        add_json_char(line, value.ptr + i, length);
        i += length ? length : 1;
    }
    wp_buf_add_str(line, i < value.len ? "...\"" : "\"");
}

/* Reads a field's value up to the blank after it; returns where the format goes on. *ret_number: it is one
 * number, and nothing beside it. */
static const char *read_value(const char *at, struct arguments *args, struct wp_buf *ret, bool *ret_number) {
    const char *begin = at;
    *ret_number = false;
    while (*at && *at != ' ') {
        struct conversion conversion;
        if (*at != '%') {
            wp_buf_add(ret, at++, 1);
            continue;
        }
        bool first = at == begin;
        at = parse_conversion(at + 1, &conversion);
        if (conversion.kind == 's') {
            struct wp_str text = string_argument(args, &conversion);
            wp_buf_add(ret, text.ptr, text.len);
            continue;
        }
        size_t from = ret->len;
        add_number(ret, args, &conversion);
        /* Not hexadecimal, nor an infinity. */
        *ret_number = first && (*at == ' ' || *at == '\0') && strchr("duf", conversion.kind) &&
                      strcspn(ret->data + from, "0123456789") <= 1;
    }
    return at;
}

static void add_json_fields(struct wp_buf *line, const char *fields, struct arguments *args, size_t most) {
    for (const char *at = fields; *at; at += *at == ' ') {
        struct wp_buf value = {0};
        bool number;
        size_t key = strcspn(at, "=% ");
        struct wp_str name = at[key] == '=' ? (struct wp_str){at, key} : WP_STR("message");
        at = read_value(at[key] == '=' ? at + key + 1 : at, args, &value, &number);
        wp_buf_printf(line, ",\"%.*s\":", (int)name.len, name.ptr);
        if (number)
            wp_buf_add(line, value.data, value.len);
        else
            add_json_text(line, wp_buf_str(&value), most);
        wp_buf_done(&value);
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

static void append(char *line, size_t room, const char *text) {
    size_t used = strlen(line), length = strlen(text);
    if (used + length < room) memcpy(line + used, text, length + 1);
}

void wp_log_signal_safe(enum wp_log_level level, const char *event, const char *reason) {
    bool json = wp_log_format() == WP_LOG_JSON;
    const char *const parts[] = {prefix_of(level),
                                 json ? "{\"level\":\"" : "level=",
                                 level_names[level],
                                 json ? "\",\"event\":\"" : " event=",
                                 event,
                                 json ? "\",\"reason\":\"" : " reason=\"",
                                 reason,
                                 json ? "\"}\n" : "\"\n"};
    char line[512] = "";
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) append(line, sizeof(line), parts[i]);
    if (!takes_a_line()) return;
    ssize_t written = write(STDERR_FILENO, line, strlen(line));
    (void)written;
}

/* Ends the line, and writes it. */
static void write_line(struct wp_buf *line, bool json) {
    static _Atomic unsigned dropped;
    if (!takes_a_line()) {
        atomic_fetch_add(&dropped, 1);
        return;
    }
    unsigned before = atomic_exchange(&dropped, 0);
    if (before > 0) wp_buf_printf(line, json ? ",\"log_lines_dropped\":%u" : " log_lines_dropped=%u", before);
    wp_buf_add_str(line, json ? "}\n" : "\n");
    if (!json) cut(line);
    ssize_t written = write(STDERR_FILENO, line->data, line->len);
    (void)written; /* there is nowhere to report that the log cannot be written */
}

static void build_logfmt(struct wp_buf *line, enum wp_log_level level, const char *event, const char *fields,
                         struct arguments *args) {
    wp_buf_add_str(line, "ts=");
    add_time(line);
    wp_buf_printf(line, " level=%s event=%s", level_names[level], event);
    if (!*fields) return;
    wp_buf_add_str(line, " ");
    add_fields(line, fields, args);
}

/* A line that were cut would be no JSON: its texts are shortened until it fits. */
static void build_json(struct wp_buf *line, enum wp_log_level level, const char *event, const char *fields,
                       struct arguments *args) {
    size_t from = line->len, room = PIPE_BUF - 64; /* of log_lines_dropped and the end */
    for (size_t most = VALUE_MAX; most > 0; most /= 2) {
        struct arguments again;
        va_copy(again.list, args->list);
        line->len = from;
        wp_buf_add_str(line, "{\"ts\":\"");
        add_time(line);
        wp_buf_printf(line, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level], event);
        add_json_fields(line, fields, &again, most);
        va_end(again.list);
        if (line->len <= room) return;
    }
}

void wp_log(enum wp_log_level level, const char *event, const char *fields, ...) {
    if (level < wp_log_level()) return;
    int saved_errno = errno;
    bool json = wp_log_format() == WP_LOG_JSON;
    struct wp_buf line = {0};
    struct arguments args;
    wp_buf_add_str(&line, prefix_of(level));
    va_start(args.list, fields);
    if (json)
        build_json(&line, level, event, fields, &args);
    else
        build_logfmt(&line, level, event, fields, &args);
    va_end(args.list);
    write_line(&line, json);
    wp_buf_done(&line);
    errno = saved_errno;
}
