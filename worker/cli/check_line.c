/* Prints the lines of `warmpool check`. */
#include "cli/check_line.h"

#include <stdarg.h>

void wp_check_say(struct wp_check *check, enum wp_verdict verdict, const char *what, const char *format,
                  ...) {
    static const char *const words[] = {
        [WP_CHECK_OK] = "ok  ", [WP_CHECK_ADVICE] = "warn", [WP_CHECK_FAILED] = "FAIL"};
    va_list args;
    if (verdict == WP_CHECK_FAILED) check->failed++;
    fprintf(check->out, "%s %-14s ", words[verdict], what);
    va_start(args, format);
    vfprintf(check->out, format, args);
    va_end(args);
    fputc('\n', check->out);
}
