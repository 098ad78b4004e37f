/* The files of claims, in host.claims/HOST/CONTAINER_ID/claim.json: the JSON object of an acquire's claim. A
 * container sees its own folder as /run/warmpool. Only this worker's user can enter host.claims and the
 * host's folder; every user in the container can read the container's folder and file. With an empty `folder`
 * all of these functions do nothing. Errors never quote the content of a claim. One thread: the loop's. Files
 * are small; host.claims is best on a tmpfs. */
#ifndef WP_HOST_CLAIMS_H
#define WP_HOST_CLAIMS_H
#include <jansson.h>
#include "core/config.h"
#include "core/err.h"
#include "core/str.h"

#define WP_CLAIM_FILE "claim.json"

/* host.claims, or where it is empty and `wanted` a folder of this user and deployment: for the inits of
 * containers (pool.clean), not for claims. Owned by the caller; empty: there is none. */
char *wp_claims_root(const struct wp_config *config, bool wanted);
/* The path of this host's folder below `root`, which is host.claims, or the path of that folder on the
 * engine's machine. Owned by the caller; empty when root is. */
char *wp_claims_folder(const char *root, const char *host);
/* Makes root and the host's folder (mode 0700). WP_ERR_CONFIG when that fails. */
enum wp_err wp_claims_open(const char *root, const char *folder, struct wp_error *error) WP_MUST_CHECK;
/* Makes the folder of a container that is about to be created; no error when it exists. */
enum wp_err wp_claims_make(const char *folder, const char *id, struct wp_error *error) WP_MUST_CHECK;
/* Writes claim.json atomically: a reader sees the whole claim or the one before. */
enum wp_err wp_claims_write(const char *folder, const char *id, struct wp_str claim,
                            struct wp_error *error) WP_MUST_CHECK;
/* Reads claim.json. NULL: there is none, or it is no JSON. Owned by the caller. */
json_t *wp_claims_read(const char *folder, const char *id);
/* When claim.json was written or removed last, in seconds since 1970 with nine digits behind the point. NULL:
 * the container has no folder. Owned by the caller. */
char *wp_claims_changed(const char *folder, const char *id);
/* Overwrites claim.json and removes it. False: that was not possible. */
bool wp_claims_wipe(const char *folder, const char *id);
void wp_claims_remove(const char *folder, const char *id);
/* At the end of a worker that leaves no containers: removes what it has made for its own use. */
void wp_claims_close(const struct wp_config *config, const char *root, const char *folder);
/* Removes the folders of the containers for which is_held is false: they are left from an earlier worker. */
void wp_claims_keep(const char *folder, bool (*is_held)(void *ctx, const char *id), void *ctx);

#endif
