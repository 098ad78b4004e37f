/* Makes the worker's name: see worker_name.h. No state. */
#include "core/worker_name.h"
#include <stdio.h>
#include <unistd.h>

void wp_worker_name(const struct wp_config *config, char *ret) {
    char host[64] = "worker";
    if (config->worker.id[0] != '\0') {
        (void)snprintf(ret, WP_WORKER_NAME_BYTES, "%s", config->worker.id);
        return;
    }
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(ret, WP_WORKER_NAME_BYTES, "%s-%d", host, (int)getpid());
}
