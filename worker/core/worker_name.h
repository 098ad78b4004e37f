/* The name of this worker in records, logs and Redis. Pure. */
#ifndef WP_CORE_WORKER_NAME_H
#define WP_CORE_WORKER_NAME_H
#include "core/config.h"

enum { WP_WORKER_NAME_BYTES = 128 };

/* worker.id, else the host's name and the process id. ret: of WP_WORKER_NAME_BYTES. */
void wp_worker_name(const struct wp_config *config, char *ret);

#endif
