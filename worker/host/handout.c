/* What stands between an idle container and its next agent: pausing those that nobody needs soon, and, before
 * one is handed out, waking it and writing its claim; after it, wiping that and running the pool's reset
 * command. The loop's thread. */
#include <string.h>
#include "core/log.h"
#include "host/claims.h"
#include "host/host_internal.h"

static void begin(struct wp_host *host, struct held *held, enum held_step step) {
    held->step = step;
    wp_held_set(host, held, HELD_BUSY);
}

static void say_done(struct wp_host *host, struct held *held, const char *what) {
    held->done = what;
    wp_held_say(host, held);
}

static void keep_number(struct held *held, struct wp_str number) {
    snprintf(held->number, sizeof held->number, "%.*s", (int)number.len, number.ptr);
}

void wp_held_pause(struct wp_host *host, struct held *held) {
    if (held->paused || !host->driver->pause) return;
    begin(host, held, STEP_PAUSE);
    host->driver->pause(host->runtime, wp_str(held->id));
}

void wp_held_bind(struct wp_host *host, struct held *held, struct wp_str number, struct wp_str claim) {
    struct wp_error error = {0};
    keep_number(held, number);
    if (claim.len > 0 && wp_claims_write(host->claims, held->id, claim, &error) != WP_OK) {
        wp_log(WP_LOG_WARN, "claim_not_written", "container=%s reason=%s", held->id, error.text);
        wp_held_destroy(host, held); /* its request gets another */
        return;
    }
    if (!held->paused) {
        say_done(host, held, "bound");
        return;
    }
    begin(host, held, STEP_BIND);
    host->driver->resume(host->runtime, wp_str(held->id));
}

static const char *reset_command(const struct wp_config *config, const char *philosophy) {
    const char *own = wp_settings_get(&config->pool.reset_of, philosophy);
    return own ? own : config->pool.reset;
}

void wp_held_reset(struct wp_host *host, struct held *held, struct wp_str number) {
    const char *command = reset_command(host->config, held->philosophy);
    keep_number(held, number);
    if (!wp_claims_wipe(host->claims, held->id)) {
        wp_log(WP_LOG_WARN, "claim_not_wiped", "container=%s", held->id);
        wp_held_destroy(host, held);
        return;
    }
    if (!*command || !host->driver->run) {
        say_done(host, held, "reset");
        return;
    }
    begin(host, held, STEP_RESET);
    host->driver->run(host->runtime, wp_str(held->id), command);
}

void wp_held_step_over(struct wp_host *host, struct held *held, enum wp_container_state state) {
    if (held->state != HELD_BUSY) return;
    wp_held_set(host, held, HELD_READY);
    if (state != WP_CONTAINER_RAN) held->paused = state == WP_CONTAINER_PAUSED;
    if (held->step == STEP_BIND) say_done(host, held, "bound");
    if (held->step == STEP_RESET) say_done(host, held, "reset");
    if (!held->ask_again) return;
    held->ask_again = false;
    wp_host_ask(host, wp_str(held->id));
    wp_host_ask_now(host);
}
