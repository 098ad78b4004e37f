/* The folder host.claims: in it each host has one, and in that each of its containers by its id, which the
 * container sees as /run/warmpool: there lies claim.json, the JSON object of an acquire's claim. The first
 * two can be entered by this worker's user alone; a container's own and its file can be read by every user in
 * it. With an empty `folder` all of these do nothing. What is written never appears in an error. One thread:
 * the loop's; files are small, and best in memory. */
#ifndef WP_HOST_CLAIMS_H
#define WP_HOST_CLAIMS_H
#include "core/err.h"
#include "core/str.h"

#define WP_CLAIM_FILE "claim.json"

/* Of this host, below `root` (host.claims, or what the engine knows it as): owned by the caller; empty when
 * that is. */
char *wp_claims_folder(const char *root, const char *host);
/* Makes root and the host's folder (mode 0700). WP_ERR_CONFIG with a sentence when that cannot be. */
enum wp_err wp_claims_open(const char *root, const char *folder, struct wp_error *error) WP_MUST_CHECK;
/* Of a container that is about to be created; no error when it is there. */
enum wp_err wp_claims_make(const char *folder, const char *id, struct wp_error *error) WP_MUST_CHECK;
/* Atomically: a reader sees all of it or what was before. */
enum wp_err wp_claims_write(const char *folder, const char *id, struct wp_str claim,
                            struct wp_error *error) WP_MUST_CHECK;
/* Whether there is none any more. */
bool wp_claims_wipe(const char *folder, const char *id);
void wp_claims_remove(const char *folder, const char *id);
/* Removes those of containers that is_held does not know: of workers before us. */
void wp_claims_keep(const char *folder, bool (*is_held)(void *ctx, const char *id), void *ctx);

#endif
