/* A server on a Unix socket, or on a loopback port, that answers HTTP as a test says, for what a real engine
 * cannot be made to do: errors, nonsense, silence. Threads of its own; the script is set before the first
 * request, or under http_script's own lock. */
#ifndef TESTS_HTTP_SCRIPT_H
#define TESTS_HTTP_SCRIPT_H
#include <stdbool.h>

struct http_answer {
    const char *request; /* "DELETE /containers/a": how the request line begins, its version aside */
    int status;          /* 0: the connection is closed without an answer */
    const char *body;    /* NULL: none. With `stream`: what comes at once; the connection stays open */
    int times;           /* how often; 0: for ever. Of those that fit the first that is left is taken */
    int delay_ms;
    bool stream;
};

struct http_script;

/* answers: ended by one without a request; borrowed. What fits none is answered 404. */
struct http_script *http_script_start(const char *path, const char *api_version,
                                      const struct http_answer *answers);
/* The same on 127.0.0.1. *port: 0 for any free one, which is stored there; else that one. */
struct http_script *http_script_start_tcp(int *port, const struct http_answer *answers);
void http_script_stop(struct http_script *script);
/* More of all open streams. */
void http_script_push(struct http_script *script, const char *text);
void http_script_close_streams(struct http_script *script);
/* How many requests began like this. */
int http_script_count(struct http_script *script, const char *request);

#endif
