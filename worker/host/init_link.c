/* Owns the socket to a container's init: see init_link.h. Freed when its handles are closed. */
#include "host/init_link.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "core/buf.h"

#define CLOSED "its init has closed its socket"

struct wp_init_link {
    char *path; /* owned: the container's own folder */
    char key[WP_INIT_KEY + 1];
    bool is_new;        /* the init has no key yet */
    bool greeted, kept; /* it has said hello; and that it keeps what was there */
    bool ended;         /* the init has closed the socket */
    bool closed;
    int listening, connected; /* sockets; -1: none */
    uv_poll_t listener, connection;
    uv_timer_t timer; /* until the answer */
    int handles;
    const char *asked;      /* "keep" or "clean"; NULL: nothing */
    bool sent;              /* it has been asked so */
    wp_init_link_over over; /* of what is asked */
    wp_init_link_over broken;
    void *ctx;
    char why[WP_INIT_WHY]; /* why it cannot be asked any more; empty: it can */
    char line[WP_INIT_LINE];
    size_t length;
    char early[WP_INIT_LINE]; /* what one said that has a key, when no key is expected; empty: nothing */
};

void wp_init_link_new_key(char key[WP_INIT_KEY + 1]) {
    unsigned char bytes[WP_INIT_KEY / 2];
    ssize_t got = getrandom(bytes, sizeof bytes, 0);
    wp_assert(got == sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- the end of what was asked ---- */

static void finish(struct wp_init_link *link, const char *why) {
    wp_init_link_over over = link->over;
    if (!link->asked) return;
    link->asked = NULL;
    uv_timer_stop(&link->timer);
    over(link->ctx, why);
}

static bool is_kept_already(const struct wp_init_link *link) {
    return link->kept && link->asked && strcmp(link->asked, "keep") == 0;
}

static void stop_listening(struct wp_init_link *link);
static void on_closed(uv_handle_t *handle);

/* The handle closes with its descriptor. Closed later it would take whatever has the same number by then out
 * of the loop's epoll set, and libuv would not know. */
static void close_polled(uv_poll_t *poll, int *descriptor) {
    uv_close((uv_handle_t *)poll, on_closed);
    close(*descriptor);
    *descriptor = -1;
}

static void hang_up(struct wp_init_link *link) {
    if (link->connected >= 0) close_polled(&link->connection, &link->connected);
}

/* It can be asked nothing more. */
static void give_up(struct wp_init_link *link, const char *why) {
    if (!*link->why) snprintf(link->why, sizeof link->why, "%s", why);
    stop_listening(link);
    hang_up(link);
}

static void on_late(uv_timer_t *timer) {
    struct wp_init_link *link = timer->data;
    if (is_kept_already(link)) {
        finish(link, NULL);
        return;
    }
    if (!*link->why)
        give_up(link, link->greeted ? "its init does not answer" : "its init has not connected to this host");
    finish(link, link->why);
}

/* Something else than an init is at the other end, or one that cannot go on. */
static void on_broken(struct wp_init_link *link, const char *why) {
    if (link->closed) return;
    give_up(link, why);
    if (link->asked)
        finish(link, link->why);
    else
        link->broken(link->ctx, link->why);
}

/* ---- what it says ---- */

static void put(struct wp_init_link *link, const char *word, const char *more) {
    char text[WP_INIT_LINE];
    int count = snprintf(text, sizeof text, "%s%s\n", word, more);
    if (send(link->connected, text, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT) == count) return;
    link->ended = true;
    give_up(link, CLOSED);
}

static void ask_now(struct wp_init_link *link) {
    if (!link->asked || link->sent || !link->greeted) return;
    link->sent = true;
    put(link, link->asked, "");
}

/* The init of a container whose program has not begun has no key, and says "-"; nobody else is there then.
 * One that has another key than a new one is from before: wp_init_link_set_key says which. */
static void on_hello(struct wp_init_link *link, const char *said) {
    char key[WP_INIT_LINE], state[WP_INIT_LINE];
    bool whole = sscanf(said, "%255s %255s", key, state) == 2 && !link->greeted;
    bool without = whole && link->is_new && strcmp(key, "-") == 0,
         known = whole && strcmp(key, link->key) == 0;
    if (whole && link->is_new && !without && !known) {
        snprintf(link->early, sizeof link->early, "%s", said);
        return;
    }
    if (!without && !known) {
        on_broken(link, "something else than its init has connected to this host");
        return;
    }
    link->greeted = true;
    link->is_new = false;
    link->kept = strcmp(state, "kept") == 0;
    if (without) put(link, "key ", link->key);
    if (is_kept_already(link))
        finish(link, NULL);
    else
        ask_now(link);
}

static void hear(struct wp_init_link *link, char *line) {
    bool keeping = link->sent && link->asked && strcmp(link->asked, "keep") == 0,
         cleaning = link->sent && link->asked && !keeping;
    for (char *at = line; *at; at++)
        if (*at < ' ' || *at > '~') *at = '?';
    if (strncmp(line, "hello ", 6) == 0) {
        on_hello(link, line + 6);
    } else if (link->greeted && keeping && strcmp(line, "kept") == 0) {
        link->kept = true;
        finish(link, NULL);
    } else if (link->greeted && cleaning && strcmp(line, "cleaned") == 0) {
        finish(link, NULL);
    } else if (link->greeted && strncmp(line, "failed ", 7) == 0) {
        on_broken(link, line + 7);
    } else {
        on_broken(link, "its init says something that is not understood");
    }
}

/* When a container ends its init closes the socket. The engine says why it ended, within the time of an
 * answer: until then what was asked is not over. */
static void on_end(struct wp_init_link *link) {
    link->ended = true;
    give_up(link, CLOSED);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct wp_init_link *link = poll->data;
    (void)events;
    ssize_t got = status < 0 ? 0
                             : recv(link->connected, link->line + link->length,
                                    sizeof link->line - link->length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        on_end(link);
        return;
    }
    link->length += (size_t)got;
    char *end;
    while (link->connected >= 0 && (end = memchr(link->line, '\n', link->length))) {
        char line[WP_INIT_LINE];
        size_t count = (size_t)(end + 1 - link->line);
        memcpy(line, link->line, count);
        line[count - 1] = '\0';
        link->length -= count;
        memmove(link->line, end + 1, link->length);
        hear(link, line);
    }
    if (link->length == sizeof link->line) on_broken(link, "its init says something that is not understood");
}

/* ---- the socket ---- */

/* The folder's time stays that of its claim (host/claims.h). */
static bool in_folder(const struct wp_init_link *link, bool (*step)(int folder, int *ret_socket),
                      int *ret_socket) {
    struct stat seen;
    int folder = open(link->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return false;
    bool good = fstat(folder, &seen) == 0 && step(folder, ret_socket);
    int why = errno;
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, seen.st_mtim};
    if (good) good = futimens(folder, times) == 0;
    close(folder);
    errno = why;
    return good;
}

/* By the folder's descriptor, because a socket's path is short. The init sees the socket when it listens. */
static bool make_socket(int folder, int *ret_socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" WP_INIT_NEW_SOCKET, folder);
    unlinkat(folder, WP_INIT_NEW_SOCKET, 0);
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made >= 0 && bind(made, (struct sockaddr *)&address, sizeof address) == 0 &&
        fchmodat(folder, WP_INIT_NEW_SOCKET, 0666, 0) == 0 && listen(made, 1) == 0 &&
        renameat(folder, WP_INIT_NEW_SOCKET, folder, WP_INIT_SOCKET) == 0) {
        *ret_socket = made;
        return true;
    }
    if (made >= 0) close(made);
    return false;
}

static bool remove_socket(int folder, int *ret_socket) {
    (void)ret_socket;
    return unlinkat(folder, WP_INIT_SOCKET, 0) == 0 || errno == ENOENT;
}

static void stop_listening(struct wp_init_link *link) {
    if (link->listening < 0) return;
    close_polled(&link->listener, &link->listening);
    (void)in_folder(link, remove_socket, NULL); /* fails when the container is gone, and its folder */
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    struct wp_init_link *link = poll->data;
    (void)status;
    (void)events;
    int made = accept4(link->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made < 0) return;
    uv_loop_t *loop = link->timer.loop;
    stop_listening(link);
    if (uv_poll_init(loop, &link->connection, made) != 0) {
        close(made);
        on_broken(link, "its init cannot be listened to");
        return;
    }
    link->connected = made;
    link->connection.data = link;
    link->handles++;
    uv_poll_start(&link->connection, UV_READABLE, on_readable);
}

/* ---- open, ask, close ---- */

enum wp_err wp_init_link_open(struct wp_init_link **ret_link, uv_loop_t *loop, const char *folder,
                              const char *id, const char *key, bool is_new, wp_init_link_over broken,
                              void *ctx, struct wp_error *error) {
    struct wp_init_link *link = wp_calloc(1, sizeof *link);
    *link = (struct wp_init_link){.path = wp_format("%s/%s", folder, id),
                                  .is_new = is_new,
                                  .connected = -1,
                                  .broken = broken,
                                  .ctx = ctx};
    snprintf(link->key, sizeof link->key, "%s", key);
    if (!in_folder(link, make_socket, &link->listening)) {
        enum wp_err err = wp_fail(error, WP_ERR_SYSTEM, "the socket for its init cannot be made in %s: %s",
                                  link->path, strerror(errno));
        free(link->path);
        free(link);
        return err;
    }
    uv_timer_init(loop, &link->timer);
    int failed = uv_poll_init(loop, &link->listener, link->listening);
    wp_assert(failed == 0);
    link->timer.data = link->listener.data = link;
    link->handles = 2;
    uv_poll_start(&link->listener, UV_READABLE, on_connection);
    *ret_link = link;
    return WP_OK;
}

void wp_init_link_set_key(struct wp_init_link *link, const char *key) {
    snprintf(link->key, sizeof link->key, "%s", key);
    link->is_new = link->is_new && !*link->early;
    if (*link->early) on_hello(link, link->early);
}

static void ask(struct wp_init_link *link, const char *what, wp_init_link_over over) {
    wp_assert(!link->asked);
    link->asked = what;
    link->over = over;
    link->sent = false;
    bool now = (*link->why && !link->ended) || is_kept_already(link);
    uv_update_time(link->timer.loop); /* its time is that of the turn's beginning */
    uv_timer_start(&link->timer, on_late, now ? 0 : WP_INIT_ANSWER, 0);
    if (!now) ask_now(link);
}

void wp_init_link_keep(struct wp_init_link *link, wp_init_link_over over) {
    ask(link, "keep", over);
}

void wp_init_link_clean(struct wp_init_link *link, wp_init_link_over over) {
    ask(link, "clean", over);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_init_link *link = handle->data;
    if (--link->handles > 0) return;
    free(link->path);
    free(link);
}

void wp_init_link_close(struct wp_init_link *link) {
    if (!link || link->closed) return;
    link->closed = true;
    link->asked = NULL;
    stop_listening(link);
    hang_up(link);
    uv_close((uv_handle_t *)&link->timer, on_closed);
}
