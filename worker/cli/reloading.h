/* Reads the configuration of a running worker again, all or nothing: the sources are read in the thread pool,
 * compared and checked, and only then taken over. Logs what has changed, or why nothing was taken over. One
 * thread: the loop's. */
#ifndef WP_CLI_RELOADING_H
#define WP_CLI_RELOADING_H
#include <uv.h>
#include "core/config_changes.h"
#include "core/config_sources.h"

struct wp_reloading;

struct wp_reload_result {
    bool ok;
    const char *error;                       /* why nothing was taken over; borrowed, as all of these */
    const char *file;                        /* NULL: the worker was started without -c */
    const struct wp_config_changes *changes; /* against what the worker runs with; empty when not ok */
};

struct wp_reloading_handler {
    /* Whether the worker could run with this configuration; beyond wp_config_check. */
    enum wp_err (*check)(void *ctx, const struct wp_config *config, struct wp_error *error);
    /* The configuration in force has changed: all that has kept something of it renews that. */
    void (*apply)(void *ctx);
    /* A round is over. */
    void (*done)(void *ctx, unsigned round, const struct wp_reload_result *result);
};

/* Borrows all. config: the one in force, which the sources have just given; from now on only a reload changes
 * it, but for kafka.*. */
struct wp_reloading *wp_reloading_new(uv_loop_t *loop, struct wp_config *config,
                                      const struct wp_config_sources *sources,
                                      const struct wp_reloading_handler *handler, void *ctx);
/* Asks for a round that reads the sources from now on, and returns its number: the next one, or while one is
 * under way, which may have read them already, the one after it. So requests that come together share a
 * round, and none is lost. */
unsigned wp_reloading_ask(struct wp_reloading *reloading);
void wp_reloading_free(struct wp_reloading *reloading); /* NULL is fine; run the loop once more afterwards */

#endif
