/* The steps of the runtime around a lease. Before it, the bind: resume a paused container and write the
 * request's claim. After it, the reset: wipe the claim, clean (pool.clean), and run the pool's reset command.
 * And pausing idle containers. Calls the runtime's driver and claims.c. One thread: the loop's. */
#include "host/bind.h"
#include <string.h>
#include "core/log.h"
#include "host/claims.h"

static void begin(struct held_table *table, struct held *held, enum held_step step) {
    held->step = step;
    wp_held_set(table, held, HELD_BUSY);
}

static void publish_done(struct held_table *table, struct held *held, const char *what) {
    held->done = what;
    wp_held_publish(table, held);
}

static void keep_number(struct held *held, struct wp_str number) {
    snprintf(held->number, sizeof held->number, "%.*s", (int)number.len, number.ptr);
}

void wp_held_pause(struct held_table *table, struct held *held) {
    if (held->paused || !table->driver->pause) return;
    begin(table, held, STEP_PAUSE);
    table->driver->pause(table->runtime, wp_str(held->id));
}

void wp_held_resume(struct held_table *table, struct held *held) {
    begin(table, held, STEP_RESUME);
    held->ask_again = true;
    table->driver->resume(table->runtime, wp_str(held->id));
}

void wp_held_bind(struct held_table *table, struct held *held, struct wp_str number, struct wp_str claim) {
    struct wp_error error = {0};
    keep_number(held, number);
    if (claim.len > 0 && wp_claims_write(table->claims, held->id, claim, &error) != WP_OK) {
        wp_log(WP_LOG_WARN, "claim_not_written", "container=%s reason=%s", held->id, error.text);
        wp_held_destroy(table, held); /* its request gets another container */
        return;
    }
    if (!held->paused) {
        publish_done(table, held, "bound");
        return;
    }
    begin(table, held, STEP_BIND);
    table->driver->resume(table->runtime, wp_str(held->id));
}

static const char *reset_command(const struct wp_config *config, const char *philosophy) {
    const char *own = wp_settings_get(&config->pool.reset_of, philosophy);
    return own ? own : config->pool.reset;
}

static void run_reset_command(struct held_table *table, struct held *held) {
    const char *command = reset_command(table->config, held->philosophy);
    if (!*command || !table->driver->run) {
        publish_done(table, held, "reset");
        return;
    }
    begin(table, held, STEP_RESET);
    table->driver->run(table->runtime, wp_str(held->id), command);
}

void wp_held_reset(struct held_table *table, struct held *held, struct wp_str number) {
    keep_number(held, number);
    if (!wp_claims_wipe(table->claims, held->id)) {
        wp_log(WP_LOG_WARN, "claim_not_wiped", "container=%s", held->id);
        wp_held_destroy(table, held);
        return;
    }
    if (!wp_config_cleans(table->config, held->philosophy)) {
        run_reset_command(table, held);
        return;
    }
    begin(table, held, STEP_CLEAN);
    table->driver->clean(table->runtime, wp_str(held->id));
}

bool wp_held_step_over(struct held_table *table, struct held *held, enum wp_container_state state) {
    if (state == WP_CONTAINER_PAUSED || state == WP_CONTAINER_RUNNING)
        held->paused = state == WP_CONTAINER_PAUSED;
    if (held->state != HELD_BUSY && held->state != HELD_READY) return false;
    bool by_hand = held->state == HELD_READY;
    wp_held_set(table, held, HELD_READY);
    if (by_hand) return true;
    if (held->step == STEP_CLEAN) {
        run_reset_command(table, held);
        if (held->state == HELD_BUSY) return false;
    }
    if (held->step == STEP_BIND) publish_done(table, held, "bound");
    if (held->step == STEP_RESET) publish_done(table, held, "reset");
    bool again = held->ask_again;
    held->ask_again = false;
    return again;
}
