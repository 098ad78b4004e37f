/* Errors. A function that can fail returns enum wp_err and fills the caller's struct wp_error (which may be
 * NULL) with one sentence that says what, where and how to mend it. Library code never logs an error; the
 * edge does, once. */
#ifndef WP_CORE_ERR_H
#define WP_CORE_ERR_H
#include <stdarg.h>

#define WP_MUST_CHECK __attribute__((warn_unused_result))
#define WP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum wp_err {
    WP_OK = 0,
    WP_ERR_NOMEM,     /* allocation failed */
    WP_ERR_CONFIG,    /* a wrong option; final */
    WP_ERR_DATA,      /* a message or file is malformed; final for that input */
    WP_ERR_KAFKA,     /* Kafka refused or is away; retry with backoff */
    WP_ERR_REDIS,     /* Redis refused or is away; retry with backoff */
    WP_ERR_FUNCTION,  /* a Redis function failed on its input (not the infrastructure) */
    WP_ERR_RUNTIME,   /* the container runtime refused or is away */
    WP_ERR_SYSTEM,    /* an operating system call failed */
    WP_ERR_NOT_FOUND, /* the named thing does not exist */
    WP_ERR_AGAIN,     /* what is needed is not known yet and was asked for; the same call works later */
};

struct wp_error {
    enum wp_err code;
    char text[512]; /* UTF-8, NUL-terminated, no newline */
};

/* Sets *error (when not NULL) and returns code, so that a caller can write `return wp_fail(error, WP_ERR_X,
 * ...)`. */
enum wp_err wp_fail(struct wp_error *error, enum wp_err code, const char *format, ...) WP_PRINTF(3, 4);

/* The code's short name, for log lines and metrics: "config", "data", "kafka", ... */
const char *wp_err_name(enum wp_err code);

/* For bugs of warmpool itself, not for faults outside of it: prints the condition on stderr and aborts, in
 * release builds too. */
#define wp_assert(condition) ((condition) ? (void)0 : wp_bug(#condition, __FILE__, __LINE__))
_Noreturn void wp_bug(const char *what, const char *file, int line);

#endif
