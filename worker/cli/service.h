/* What systemd is told of a worker: ready, reloading, stopping, why it is not ready, and that its loop turns.
 * One thread: the loop's. */
#ifndef WP_CLI_SERVICE_H
#define WP_CLI_SERVICE_H
#include <uv.h>
#include "core/stats.h"

struct wp_service {
    uv_timer_t watchdog; /* systemd restarts a worker whose loop does not turn */
    bool ready;          /* READY=1 was sent: the worker was ready once */
    char refused[200];   /* why the latest reload was not taken over; empty: it was */
    char status[512];    /* sent last */
};

void wp_service_start(struct wp_service *service, uv_loop_t *loop);
/* To be called several times a second: tells that the worker has become ready, and what it waits for. */
void wp_service_look(struct wp_service *service, const struct wp_stats *stats);
void wp_service_reloading(const struct wp_service *service);
void wp_service_reloaded(struct wp_service *service, const char *error); /* error NULL: it was taken over */
void wp_service_stopping(void);
void wp_service_close(struct wp_service *service);

#endif
