/* The client of a schema registry: owns its calls under way, and the list of servers. One thread: the loop's.
 */
#include "registry/client.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>
#include "core/secret.h"
#include "http/transfers.h"

enum { SERVERS_MAX = 16, ANSWER_MAX = 4 << 20, QUOTED_MAX = 200, SAID_MAX = 400 };

struct server {
    char *url;   /* owned; without a slash at its end */
    char *shown; /* owned; without user and password */
};

struct registry_call {
    struct registry_client *client;
    char *path, *body; /* owned; body may be NULL */
    registry_done done;
    void *ctx;
    size_t server, tried; /* the one that is asked, and how many were */
    CURL *curl;
    struct wp_buf answer;
    char why[CURL_ERROR_SIZE];
    struct registry_call *prev, *next;
};

struct registry_client {
    const struct wp_config *config; /* borrowed */
    struct wp_stats *stats;
    struct wp_transfers *transfers;
    struct server servers[SERVERS_MAX];
    size_t server_count, best; /* best: that answered last */
    struct curl_slist *headers;
    struct registry_call *calls;
};

/* ---- servers ---- */

static char *without_user(const char *url) {
    const char *host = strstr(url, "://") + 3, *at = strrchr(host, '@');
    return at ? wp_format("%.*s%s", (int)(host - url), url, at + 1) : wp_strdup(url);
}

static void read_servers(struct registry_client *client, const char *list) {
    while (*list && client->server_count < SERVERS_MAX) {
        list += strspn(list, ", ");
        size_t length = strcspn(list, ", "), used = length;
        while (used > 0 && list[used - 1] == '/') used--;
        if (used > 0) {
            struct server *server = &client->servers[client->server_count++];
            server->url = wp_strndup((struct wp_str){list, used});
            server->shown = without_user(server->url);
        }
        list += length;
    }
}

/* ---- answers ---- */

/* What the registry's own JSON, or else the beginning of its text, says; owned by the caller. */
static char *quote(const struct registry_call *call, const json_t *json) {
    const char *message = json_string_value(json_object_get(json, "message"));
    struct wp_str body = message ? wp_str(message) : wp_buf_str(&call->answer);
    if (body.len > QUOTED_MAX) body.len = QUOTED_MAX;
    char *text = wp_strndup(body);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f) *at = ' ';
    return text;
}

/* A 404 about what was asked for has a code of its own, 40401 to 40499. One of 404 says that there is no such
 * path: the server is no registry, or wire.registry.url lacks a part. */
static bool is_about_content(const json_t *json) {
    return json_integer_value(json_object_get(json, "error_code")) / 100 == 404;
}

static enum registry_kind kind_of(long status, const json_t *json) {
    if (status == 200) return json ? REGISTRY_OK : REGISTRY_USELESS;
    if (status == 404) return is_about_content(json) ? REGISTRY_NOT_FOUND : REGISTRY_DENIED;
    if (status == 409) return REGISTRY_CONFLICT;
    if (status == 422) return REGISTRY_INVALID;
    if (status == 401 || status == 403 || status == 407 || (status >= 300 && status < 400))
        return REGISTRY_DENIED;
    if (status == 0 || status == 429 || status == 502 || status == 503 || status == 504) return REGISTRY_AWAY;
    return REGISTRY_USELESS;
}

static const char *advice(long status, const json_t *json) {
    if (status == 401 || status == 403) return "; mend wire.registry.user and password, or token";
    if (status >= 300 && status < 400)
        return "; redirects are not followed: name its own address in wire.registry.url";
    if (status == 404 && !is_about_content(json))
        return "; that is no answer of a schema registry: is its path missing in wire.registry.url?";
    if (status == 200) return ", which is no JSON";
    return "";
}

static char *say(const struct registry_call *call, long status, const json_t *json) {
    const char *url = call->client->servers[call->server].shown;
    if (status == 0) return wp_format("the schema registry at %s does not answer: %s", url, call->why);
    char *quoted = quote(call, json);
    char *said = wp_format("the schema registry at %s answered %ld%s%s%s", url, status, *quoted ? ": " : "",
                           quoted, advice(status, json));
    free(quoted);
    return said;
}

static void free_call(struct registry_call *call) {
    if (call->curl) {
        wp_transfers_remove(call->client->transfers, call->curl);
        curl_easy_cleanup(call->curl);
    }
    DL_DELETE(call->client->calls, call);
    wp_buf_done(&call->answer);
    free(call->path);
    free(call->body);
    free(call);
}

static void finish(struct registry_call *call, enum registry_kind kind, long status, json_t *json) {
    char *said = kind == REGISTRY_OK ? wp_strdup("") : say(call, status, json);
    if (strlen(said) > SAID_MAX) said[SAID_MAX] = '\0';
    struct registry_answer answer = {.kind = kind, .json = json, .said = said};
    struct wp_stats *stats = call->client->stats;
    if (kind == REGISTRY_AWAY || kind == REGISTRY_DENIED || kind == REGISTRY_USELESS)
        stats->registry_failures++;
    call->done(call->ctx, &answer);
    free(said);
    json_decref(json);
    free_call(call);
}

static void start(struct registry_call *call);

static void on_ended(void *ctx, CURL *curl, CURLcode code) {
    struct registry_client *client = ctx;
    struct registry_call *call = NULL;
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &call);
    if (code == CURLE_OK) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR)
        (void)snprintf(call->why, sizeof call->why, "its answer is longer than %d bytes", ANSWER_MAX);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        (void)snprintf(call->why, sizeof call->why, "%s; is wire.registry.tls_ca its authority?",
                       curl_easy_strerror(code));
    else if (code != CURLE_OK && !call->why[0])
        (void)snprintf(call->why, sizeof call->why, "%s", curl_easy_strerror(code));
    json_t *json = call->answer.len ? json_loadb(call->answer.data, call->answer.len, 0, NULL) : NULL;
    enum registry_kind kind = code == CURLE_WRITE_ERROR ? REGISTRY_USELESS : kind_of(status, json);
    if (kind == REGISTRY_AWAY && ++call->tried < client->server_count) {
        json_decref(json);
        wp_transfers_remove(client->transfers, curl);
        curl_easy_cleanup(curl);
        call->server = (call->server + 1) % client->server_count;
        start(call);
        return;
    }
    if (kind != REGISTRY_AWAY) client->best = call->server;
    finish(call, kind, status, json);
}

/* ---- requests ---- */

static size_t on_data(char *data, size_t size, size_t count, void *ctx) {
    struct registry_call *call = ctx;
    if (call->answer.len + size * count > ANSWER_MAX) return 0;
    wp_buf_add(&call->answer, data, size * count);
    return size * count;
}

static void set_access(const struct wp_config *config, CURL *curl) {
    if (config->wire.registry.user[0]) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, config->wire.registry.user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, config->wire.registry.password);
    }
    if (config->wire.registry.tls_ca[0]) curl_easy_setopt(curl, CURLOPT_CAINFO, config->wire.registry.tls_ca);
    if (config->wire.registry.tls_cert[0])
        curl_easy_setopt(curl, CURLOPT_SSLCERT, config->wire.registry.tls_cert);
    if (config->wire.registry.tls_key[0])
        curl_easy_setopt(curl, CURLOPT_SSLKEY, config->wire.registry.tls_key);
}

static void start(struct registry_call *call) {
    struct registry_client *client = call->client;
    CURL *curl = call->curl = curl_easy_init();
    char *url = wp_format("%s%s", client->servers[call->server].url, call->path);
    wp_assert(curl);
    wp_buf_reset(&call->answer);
    call->why[0] = '\0';
    set_access(client->config, curl);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (call->body) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->config->wire.registry.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, call);
    free(url);
    client->stats->registry_requests++;
    wp_transfers_add(client->transfers, curl);
}

void registry_client_call(struct registry_client *client, const char *path, const char *body,
                          registry_done done, void *ctx) {
    struct registry_call *call = wp_calloc(1, sizeof *call);
    *call = (struct registry_call){.client = client,
                                   .path = wp_strdup(path),
                                   .body = body ? wp_strdup(body) : NULL,
                                   .done = done,
                                   .ctx = ctx,
                                   .server = client->best};
    DL_APPEND(client->calls, call);
    start(call);
}

/* ---- life ---- */

struct registry_client *registry_client_new(uv_loop_t *loop, const struct wp_config *config,
                                            struct wp_stats *stats) {
    static const struct wp_transfers_handler handler = {.ended = on_ended};
    struct registry_client *client = wp_calloc(1, sizeof *client);
    *client = (struct registry_client){.config = config, .stats = stats};
    client->transfers = wp_transfers_new(loop, &handler, client);
    read_servers(client, config->wire.registry.url);
    client->headers =
        curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    client->headers =
        curl_slist_append(client->headers, "Content-Type: application/vnd.schemaregistry.v1+json");
    client->headers = curl_slist_append(client->headers, "Expect:");
    if (config->wire.registry.token[0]) {
        char *header = wp_format("Authorization: Bearer %s", config->wire.registry.token);
        client->headers = curl_slist_append(client->headers, header);
        wp_free_wiped(header);
    }
    return client;
}

void registry_client_free(struct registry_client *client) {
    if (!client) return;
    struct registry_call *call, *next;
    DL_FOREACH_SAFE(client->calls, call, next) free_call(call);
    wp_transfers_free(client->transfers);
    for (size_t i = 0; i < client->server_count; i++) {
        wp_free_wiped(client->servers[i].url);
        free(client->servers[i].shown);
    }
    for (struct curl_slist *header = client->headers; header; header = header->next)
        wp_wipe(header->data, strlen(header->data)); /* one may hold the token */
    curl_slist_free_all(client->headers);
    free(client);
}
