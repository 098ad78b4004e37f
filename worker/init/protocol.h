/* clang-format off */
/* What a host and the init of one of its containers say to each other: over the socket WP_INIT_SOCKET, a line
 * each, the init first.
 *
 *   init   hello KEY STATE   KEY: what a host has given it, "-": nothing yet; STATE: "kept", or "new"
 *   host   key KEY           once, before the container's program runs; nobody else in the container learns it
 *   host   keep              what is there now belongs to the container, and stays
 *   init   kept
 *   host   clean             remove all that has come since
 *   init   cleaned
 *   init   failed WHY        instead of kept or cleaned; or when the program cannot be run
 *
 * The host makes the socket and the init connects, again and again when the host is away. */
/* clang-format on */
#ifndef WP_INIT_PROTOCOL_H
#define WP_INIT_PROTOCOL_H

#define WP_INIT_FOLDER "/run/warmpool" /* the container's own folder, as it sees it */
#define WP_INIT_PROGRAM "init"         /* in that folder, as the socket */
#define WP_INIT_SOCKET "init.socket"
/* Names that the init does not know: of the socket until it listens, and of the program in the host's folder,
 * where each worker writes it anew; containers go on with theirs. */
#define WP_INIT_NEW_SOCKET ".socket.new"
#define WP_INIT_PROGRAM_SOURCE ".init"
#define WP_INIT_LINE 256    /* bytes of the longest line, with its end */
#define WP_INIT_KEY 32      /* bytes of a key */
#define WP_INIT_WHY 200     /* bytes of a reason, with a NUL */
#define WP_INIT_ANSWER 5000 /* ms in which the init answers; it gives up a second before that */
#define WP_INIT_RETRY 160   /* ms at most between two tries to connect */

#endif
