/* Error texts and the assert of bugs. No state; any thread. */
#include "core/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sentence stays one line whatever was put into it: log lines and terminals depend on it. */
static void flatten(char *text) {
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f) *text = ' ';
    }
}

enum wp_err wp_fail(struct wp_error *error, enum wp_err code, const char *format, ...) {
    if (!error) return code;
    /* The arguments may borrow from error->text itself: "%s: ..." around an inner error is a common way to
     * add where. */
    char text[sizeof(error->text) + 1]; /* one more, to see whether a cut is inside a character */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t copied = length < 0 ? 0 : (size_t)length;
    if (copied >= sizeof(error->text)) {
        copied = sizeof(error->text) - 1;
        while (copied > 0 && ((unsigned char)text[copied] & 0xc0) == 0x80) copied--;
    }
    text[copied] = '\0';
    flatten(text);
    error->code = code;
    memcpy(error->text, text, copied + 1);
    return code;
}

const char *wp_err_name(enum wp_err code) {
    switch (code) {
    case WP_OK:
        return "ok";
    case WP_ERR_NOMEM:
        return "nomem";
    case WP_ERR_CONFIG:
        return "config";
    case WP_ERR_DATA:
        return "data";
    case WP_ERR_KAFKA:
        return "kafka";
    case WP_ERR_REDIS:
        return "redis";
    case WP_ERR_FUNCTION:
        return "function";
    case WP_ERR_RUNTIME:
        return "runtime";
    case WP_ERR_SYSTEM:
        return "system";
    case WP_ERR_NOT_FOUND:
        return "not_found";
    case WP_ERR_AGAIN:
        return "again";
    }
    return "unknown";
}

_Noreturn void wp_bug(const char *what, const char *file, int line) {
    fprintf(stderr, "warmpool: this is a bug, please report it: '%s' does not hold at %s:%d\n", what, file,
            line);
    abort();
}
