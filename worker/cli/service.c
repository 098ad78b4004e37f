/* Speaks to systemd by core/sd_notify: see service.h. */
#include "cli/service.h"
#include <stdio.h>
#include <string.h>
#include "core/clock.h"
#include "core/sd_notify.h"
#include "ops/readiness.h"

static void on_watchdog(uv_timer_t *timer) {
    (void)timer;
    wp_sd_notify("WATCHDOG=1");
}

void wp_service_start(struct wp_service *service, uv_loop_t *loop) {
    uint64_t half_ms = (uint64_t)wp_sd_watchdog_us() / 2000;
    uv_timer_init(loop, &service->watchdog);
    if (half_ms > 0) uv_timer_start(&service->watchdog, on_watchdog, half_ms, half_ms);
}

static void set_status(struct wp_service *service, const char *text) {
    if (strcmp(service->status, text) == 0) return;
    snprintf(service->status, sizeof service->status, "%s", text);
    wp_sd_notify("STATUS=%s", text);
}

/* READY=1 once the worker can do its job, not when its process runs: what is ordered after it may need it. */
void wp_service_look(struct wp_service *service, const struct wp_stats *stats) {
    struct wp_buf why = {0};
    char text[sizeof service->status];
    readiness_write(stats, &why);
    size_t line = why.len ? strcspn(why.data, "\n") : 0;
    snprintf(text, sizeof text, "%s%.*s%s%s", why.len ? "waiting for " : "ready",
             (int)(line < 200 ? line : 200), why.len ? why.data : "",
             *service->refused ? "; the configuration was not taken over: " : "", service->refused);
    wp_str_cut(text);
    set_status(service, text);
    if (why.len == 0 && !service->ready) {
        service->ready = true;
        wp_sd_notify("READY=1");
    }
    wp_buf_done(&why);
}

/* Before it is ready READY=1 may not be sent, so nothing is. */
void wp_service_reloading(const struct wp_service *service) {
    if (service->ready) wp_sd_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)wp_clock_us());
}

void wp_service_reloaded(struct wp_service *service, const char *error) {
    snprintf(service->refused, sizeof service->refused, "%s", error ? error : "");
    wp_str_cut(service->refused);
    if (service->ready) wp_sd_notify("READY=1");
}

void wp_service_stopping(void) {
    wp_sd_notify("STOPPING=1\nSTATUS=stopping");
}

void wp_service_close(struct wp_service *service) {
    uv_close((uv_handle_t *)&service->watchdog, NULL);
}
