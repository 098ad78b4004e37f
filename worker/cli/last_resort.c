/* An alarm that needs no loop: see last_resort.h. */
#include "cli/last_resort.h"
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
#include "core/log.h"

enum { DEFAULT_MS = 1000 }; /* a timer of 0 would never go off */

static void on_alarm(int number) {
    (void)number;
    /* NOLINTNEXTLINE(bugprone-signal-handler): it only polls and writes */
    wp_log_signal_safe(
        WP_LOG_WARN, "stop_timeout",
        "something blocked for all of worker.stop_timeout_ms: ended with work under way, which "
        "the next worker does");
    _exit(0);
}

void wp_end_in_any_case(int64_t ms) {
    if (ms == 0) ms = DEFAULT_MS;
    const struct itimerval when = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    signal(SIGALRM, on_alarm);
    (void)setitimer(ITIMER_REAL, &when, NULL);
}
