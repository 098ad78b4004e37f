/* The table of container drivers. No state. */
#include "host/runtime.h"
#include <string.h>
#include "core/clock.h"

#define SPARE_US 10000000

static const struct wp_runtime_driver *const drivers[] = {&wp_runtime_process, &wp_runtime_docker};

const struct wp_runtime_driver *wp_runtime_driver_find(const char *name) {
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        if (strcmp(drivers[i]->name, name) == 0) return drivers[i];
    }
    return NULL;
}

int wp_runtime_creates(const struct wp_runtime_driver *driver, const struct wp_config *config) {
    return config->host.creates > 0 ? (int)config->host.creates : driver->default_creates;
}

int64_t wp_runtime_turn_us(const struct wp_container_spec *spec) {
    return wp_clock_us() + (spec->spare ? SPARE_US : 0);
}
