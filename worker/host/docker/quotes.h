/* Whether a text quotes a claim: a whole value of it, a line or another part of one, raw or as JSON has it.
 * Pure. */
#ifndef WP_HOST_DOCKER_QUOTES_H
#define WP_HOST_DOCKER_QUOTES_H
#include <jansson.h>
#include <stdbool.h>
#include "core/str.h"

struct wp_quotes;

/* Borrows the claim until it is freed. NULL, without a claim: nothing quotes it. */
struct wp_quotes *wp_quotes_new(const json_t *claim);
void wp_quotes_free(struct wp_quotes *quotes);
bool wp_quotes_in(const struct wp_quotes *quotes, struct wp_str text);

#endif
