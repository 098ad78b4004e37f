/* The host's end of the socket to a container's init (init/protocol.h): one for each container. Listens in
 * the container's own folder until the init has connected, and then no more. What it hears is checked: its
 * key tells the init from all others that may be in the container. One thread: the loop's. */
#ifndef WP_HOST_INIT_LINK_H
#define WP_HOST_INIT_LINK_H
#include <stdbool.h>
#include <uv.h>
#include "core/err.h"
#include "init/protocol.h"

struct wp_init_link;

/* why: NULL when it is done. Called on the loop, never from inside a function of this file. */
typedef void (*wp_init_link_over)(void *ctx, const char *why);

void wp_init_link_new_key(char key[WP_INIT_KEY + 1]);
/* folder: of the host, in which the container's own is. is_new: its program has not begun yet, and the init
 * is given the key. broken: it cannot be cleaned any more, nor perhaps run; not called after
 * wp_init_link_close. */
enum wp_err wp_init_link_open(struct wp_init_link **ret_link, uv_loop_t *loop, const char *folder,
                              const char *id, const char *key, bool is_new, wp_init_link_over broken,
                              void *ctx, struct wp_error *error) WP_MUST_CHECK;
/* The container was made before, with another key. May call broken. */
void wp_init_link_set_key(struct wp_init_link *link, const char *key);
/* Each waits until the init has connected, and calls over within WP_INIT_ANSWER; one at a time. keep: what is
 * there now stays; done at once when it has been asked before. clean: what has come since goes. */
void wp_init_link_keep(struct wp_init_link *link, wp_init_link_over over);
void wp_init_link_clean(struct wp_init_link *link, wp_init_link_over over);
void wp_init_link_close(struct wp_init_link *link); /* NULL is fine */

#endif
