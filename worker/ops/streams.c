/* Owns the open streams and the text that was published last. A connection with nothing to send is suspended,
 * so that the daemon does not ask for more all the time; a text resumes it. The loop's thread. */
#include "ops/streams.h"
#include "core/clock.h"
#include <stdlib.h>
#include <sys/socket.h>

enum { BLOCK_BYTES = 16384, SOCKET_BYTES = 65536, TEXT_US = 30000000 /* for one text, then it is dropped */ };

struct text {
    int users;
    size_t len;
    char bytes[];
};

struct stream {
    struct streams *all;
    struct stream *next, **link; /* link: the pointer that leads here */
    struct MHD_Connection *connection;
    struct text *text; /* being sent; NULL: the stream has all, and is suspended */
    size_t sent;       /* bytes of it */
    uint64_t seen;     /* number of the text that was taken last */
    int64_t since_us;  /* when it was taken */
    bool suspended;
};

struct streams {
    struct stream *first;
    size_t count;
    struct text *latest; /* NULL: none yet */
    uint64_t number;     /* of the latest */
    bool ending;
};

static struct text *text_new(struct wp_str from) {
    struct text *text = wp_alloc(sizeof *text + from.len);
    text->users = 1;
    text->len = from.len;
    memcpy(text->bytes, from.ptr, from.len);
    return text;
}

static void text_drop(struct text *text) {
    if (text && --text->users == 0) free(text);
}

static void take(struct stream *stream, struct text *text) {
    stream->text = text;
    stream->sent = 0;
    stream->since_us = wp_clock_us();
}

/* The daemon can send, and asks for bytes. */
static ssize_t on_ready(void *ctx, uint64_t position, char *to, size_t max) {
    struct stream *stream = ctx;
    struct streams *all = stream->all;
    (void)position;
    if (all->ending) return MHD_CONTENT_READER_END_OF_STREAM;
    if (!stream->text && stream->seen < all->number) {
        all->latest->users++;
        take(stream, all->latest);
        stream->seen = all->number;
    }
    if (!stream->text) {
        MHD_suspend_connection(stream->connection);
        stream->suspended = true;
        return 0;
    }
    if (wp_clock_us() - stream->since_us > TEXT_US) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t left = stream->text->len - stream->sent, part = left < max ? left : max;
    memcpy(to, stream->text->bytes + stream->sent, part);
    stream->sent += part;
    if (part == left) {
        text_drop(stream->text);
        stream->text = NULL;
    }
    return (ssize_t)part;
}

static void on_gone(void *ctx) {
    struct stream *stream = ctx;
    *stream->link = stream->next;
    if (stream->next) stream->next->link = stream->link;
    stream->all->count--;
    text_drop(stream->text);
    free(stream);
}

static enum MHD_Result refuse(struct MHD_Connection *connection) {
    static char text[] =
        "32 status pages of this worker are open already: close one, or ask another worker\n";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "10");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, response);
    MHD_destroy_response(response);
    return result;
}

/* The kernel must not keep megabytes for a client that reads nothing. */
static void bound_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const int bytes = SOCKET_BYTES;
    if (info) (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

enum MHD_Result streams_open(struct streams *streams, struct MHD_Connection *connection,
                             struct wp_str greeting) {
    if (streams->count >= STREAMS_MAX) return refuse(connection);
    struct stream *stream = wp_calloc(1, sizeof *stream);
    *stream = (struct stream){.all = streams,
                              .next = streams->first,
                              .link = &streams->first,
                              .connection = connection,
                              .seen = streams->number};
    if (stream->next) stream->next->link = &stream->next;
    streams->first = stream;
    streams->count++;
    take(stream, text_new(greeting));
    bound_socket(connection);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_ready, stream, on_gone);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* nginx would hold events back */
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response); /* on_gone follows when the connection is done with it */
    return result;
}

static void resume_all(struct streams *streams) {
    for (struct stream *stream = streams->first; stream; stream = stream->next) {
        if (stream->suspended) MHD_resume_connection(stream->connection);
        stream->suspended = false;
    }
}

void streams_publish(struct streams *streams, struct wp_str text) {
    if (streams->count == 0) return;
    text_drop(streams->latest);
    streams->latest = text_new(text);
    streams->number++;
    resume_all(streams);
}

size_t streams_count(const struct streams *streams) {
    return streams->count;
}

void streams_end(struct streams *streams) {
    streams->ending = true;
    resume_all(streams);
}

struct streams *streams_new(void) {
    return wp_calloc(1, sizeof(struct streams));
}

void streams_free(struct streams *streams) {
    if (!streams) return;
    text_drop(streams->latest);
    free(streams);
}
