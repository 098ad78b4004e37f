/* Owns the sockets and threads of a scripted server: one thread a connection. */
#include "support/http_script.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "core/buf.h"

#define MAX_CONNECTIONS 256
#define MAX_REQUESTS 4096
#define MAX_ANSWERS 32

struct http_script {
    pthread_mutex_t lock;
    pthread_t acceptor;
    int fd;
    const char *api_version;
    const struct http_answer *answers;
    int used[MAX_ANSWERS]; /* how often each was given */
    char *requests[MAX_REQUESTS];
    int request_count;
    int connections[MAX_CONNECTIONS], connection_count, streams[MAX_CONNECTIONS], stream_count;
    pthread_t threads[MAX_CONNECTIONS];
};

struct connection {
    struct http_script *script;
    int fd;
};

static void send_text(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) return;
        text += sent, length -= (size_t)sent;
    }
}

static void send_chunk(int fd, const char *text) {
    char *chunk = wp_format("%zx\r\n%s\r\n", strlen(text), text);
    send_text(fd, chunk, strlen(chunk));
    free(chunk);
}

/* Reads one request with its body; false at the end. "GET /v1.41/x HTTP/1.1" is kept as "GET /x". */
static bool read_request(int fd, struct wp_buf *in, char *line, size_t room) {
    for (;;) {
        char *end = in->len > 0 ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;
        if (end) {
            size_t head = (size_t)(end - in->data) + 4, body = 0;
            const char *length = memmem(in->data, head, "Content-Length: ", 16);
            if (length) body = strtoul(length + 16, NULL, 10);
            if (in->len >= head + body) {
                char method[16] = "", path[1024] = "";
                sscanf(in->data, "%15s %1023s", method, path);
                const char *from = strncmp(path, "/v1.", 4) == 0 ? strchr(path + 1, '/') : path;
                snprintf(line, room, "%s %s", method, from ? from : path);
                memmove(in->data, in->data + head + body, in->len - head - body);
                in->len -= head + body;
                return true;
            }
        }
        ssize_t got = recv(fd, wp_buf_reserve(in, 4096), 4096, 0);
        if (got <= 0) return false;
        in->len += (size_t)got;
    }
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static const struct http_answer *choose(struct http_script *script, const char *request) {
    static const struct http_answer none = {.status = 404, .body = "{\"message\": \"no such thing\"}"};
    for (int i = 0; script->answers[i].request; i++) {
        const struct http_answer *answer = &script->answers[i];
        if (!begins(request, answer->request) || (answer->times > 0 && script->used[i] >= answer->times))
            continue;
        script->used[i]++;
        return answer;
    }
    return &none;
}

static void answer_with(struct http_script *script, int fd, const struct http_answer *answer) {
    const char *body = answer->body ? answer->body : "";
    bool empty = answer->status == 204 || answer->status == 304;
    char *head = wp_format("HTTP/1.1 %d Scripted\r\nApi-Version: %s\r\nContent-Type: application/json\r\n",
                           answer->status, script->api_version);
    char *length = answer->stream ? wp_strdup("Transfer-Encoding: chunked\r\n\r\n")
                   : empty        ? wp_strdup("\r\n")
                                  : wp_format("Content-Length: %zu\r\n\r\n", strlen(body));
    send_text(fd, head, strlen(head));
    send_text(fd, length, strlen(length));
    if (answer->stream && *body)
        send_chunk(fd, body);
    else if (!answer->stream && !empty)
        send_text(fd, body, strlen(body));
    free(head);
    free(length);
}

static void *serve(void *ctx) {
    struct connection connection = *(struct connection *)ctx;
    struct http_script *script = connection.script;
    struct wp_buf in = {0};
    char line[1200];
    free(ctx);
    while (read_request(connection.fd, &in, line, sizeof line)) {
        pthread_mutex_lock(&script->lock);
        if (script->request_count < MAX_REQUESTS) script->requests[script->request_count++] = wp_strdup(line);
        const struct http_answer *answer = choose(script, line);
        if (answer->stream)
            script->streams[script->stream_count++] = connection.fd; /* before anybody hears of it */
        pthread_mutex_unlock(&script->lock);
        if (answer->delay_ms) usleep((useconds_t)answer->delay_ms * 1000);
        if (answer->status == 0) break;
        answer_with(script, connection.fd, answer);
    }
    shutdown(connection.fd,
             SHUT_RDWR); /* closed when the script stops: its number is not used again meanwhile */
    wp_buf_done(&in);
    return NULL;
}

static void *accept_all(void *ctx) {
    struct http_script *script = ctx;
    for (int fd; (fd = accept(script->fd, NULL, NULL)) >= 0;) {
        struct connection *connection = wp_calloc(1, sizeof *connection);
        *connection = (struct connection){script, fd};
        pthread_mutex_lock(&script->lock);
        wp_assert(script->connection_count < MAX_CONNECTIONS);
        script->connections[script->connection_count] = fd;
        pthread_create(&script->threads[script->connection_count++], NULL, serve, connection);
        pthread_mutex_unlock(&script->lock);
    }
    return NULL;
}

static struct http_script *start(int fd, const struct sockaddr *address, socklen_t size,
                                 const char *api_version, const struct http_answer *answers) {
    struct http_script *script = wp_calloc(1, sizeof *script);
    script->api_version = api_version;
    script->answers = answers;
    pthread_mutex_init(&script->lock, NULL);
    script->fd = fd;
    cr_assert_eq(bind(fd, address, size), 0);
    cr_assert_eq(listen(fd, 64), 0);
    pthread_create(&script->acceptor, NULL, accept_all, script);
    return script;
}

struct http_script *http_script_start(const char *path, const char *api_version,
                                      const struct http_answer *answers) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return start(fd, (struct sockaddr *)&address, sizeof address, api_version, answers);
}

struct http_script *http_script_start_tcp(int *port, const struct http_answer *answers) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct http_script *script = start(fd, (struct sockaddr *)&address, size, "", answers);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return script;
}

void http_script_close_streams(struct http_script *script) {
    pthread_mutex_lock(&script->lock);
    for (int i = 0; i < script->stream_count; i++) shutdown(script->streams[i], SHUT_RDWR);
    script->stream_count = 0;
    pthread_mutex_unlock(&script->lock);
}

void http_script_push(struct http_script *script, const char *text) {
    pthread_mutex_lock(&script->lock);
    for (int i = 0; i < script->stream_count; i++) send_chunk(script->streams[i], text);
    pthread_mutex_unlock(&script->lock);
}

int http_script_count(struct http_script *script, const char *request) {
    int count = 0;
    pthread_mutex_lock(&script->lock);
    for (int i = 0; i < script->request_count; i++) count += begins(script->requests[i], request);
    pthread_mutex_unlock(&script->lock);
    return count;
}

void http_script_stop(struct http_script *script) {
    shutdown(script->fd, SHUT_RDWR);
    pthread_join(script->acceptor, NULL);
    close(script->fd);
    for (int i = 0; i < script->connection_count; i++) {
        shutdown(script->connections[i], SHUT_RDWR);
        pthread_join(script->threads[i], NULL);
        close(script->connections[i]);
    }
    for (int i = 0; i < script->request_count; i++) free(script->requests[i]);
    free(script);
}
