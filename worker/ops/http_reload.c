/* Owns the requests that wait for a round: see http_reload.h. */
#include "ops/http_reload.h"
#include "core/err.h"
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

struct reload_request {
    struct http_reloads *reloads;
    struct MHD_Connection *connection;
    unsigned round;
    unsigned status; /* 0: it waits */
    char *json;      /* owned; NULL: it waits */
    struct reload_request *prev, *next;
};

static void end(struct reload_request *request, unsigned status, const char *json) {
    wp_assert(request->reloads->waiting);
    DL_DELETE(request->reloads->waiting, request);
    request->status = status;
    request->json = wp_strdup(json);
}

enum MHD_Result http_reload_begin(struct http_reloads *reloads, struct MHD_Connection *connection,
                                  void **request) {
    struct reload_request *waiting = wp_calloc(1, sizeof *waiting);
    *waiting = (struct reload_request){.reloads = reloads, .connection = connection};
    *request = waiting;
    DL_APPEND(reloads->waiting, waiting);
    waiting->round = reloads->ask ? reloads->ask(reloads->ctx) : 0;
    if (waiting->round == 0) {
        end(waiting, MHD_HTTP_SERVICE_UNAVAILABLE, "{\"ok\":false,\"error\":\"the worker is stopping\"}");
        return http_reload_answer(waiting, connection);
    }
    MHD_suspend_connection(connection); /* the round ends on a later turn of the loop */
    return MHD_YES;
}

enum MHD_Result http_reload_answer(struct reload_request *request, struct MHD_Connection *connection) {
    if (!request->json) return MHD_YES;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(request->json), request->json, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result result = MHD_queue_response(connection, request->status, response);
    MHD_destroy_response(response);
    return result;
}

void http_reload_over(struct reload_request *request) {
    if (!request->json) DL_DELETE(request->reloads->waiting, request);
    free(request->json);
    free(request);
}

void http_reload_done(struct http_reloads *reloads, unsigned round, unsigned status, const char *json) {
    struct reload_request *request, *next;
    DL_FOREACH_SAFE(reloads->waiting, request, next) {
        if (request->round > round) continue;
        end(request, status, json);
        MHD_resume_connection(request->connection);
    }
}

/* ---- who asks ---- */

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return address->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127));
}

static bool same_host(const struct sockaddr *a, const struct sockaddr *b) {
    if (a->sa_family != b->sa_family) return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
    return a->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool http_is_local(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *client =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr_storage own = {0};
    socklen_t size = sizeof own;
    if (!client || !fd || !client->client_addr) return false;
    if (is_loopback(client->client_addr)) return true;
    return getsockname(fd->connect_fd, (struct sockaddr *)&own, &size) == 0 &&
           same_host(client->client_addr, (const struct sockaddr *)&own);
}
