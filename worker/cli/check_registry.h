/* Checks the schema registry (wire.registry.url). */
#ifndef WP_CLI_CHECK_REGISTRY_H
#define WP_CLI_CHECK_REGISTRY_H
#include "cli/check_line.h"
#include "wire/wire.h"

/* Whether it answers, whether what workers write is registered or could be, and whether the latest schemas of
 * the input topics can be read. Registers nothing. */
void wp_check_registry(struct wp_check *check, struct wp_wire *wire);

#endif
