/* Gives librdkafka tokens: see oauth.h. Owns the settings of the token endpoint, for the life of the process;
 * a mutex guards them and the latest failure, which clients' threads write. */
#include "kafka/oauth.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"
#include "core/log.h"
#include "kafka/oauth_request.h"

#define PREFIX "sasl.oauthbearer."
enum { FAILURE_MAX = 512 };

static const char *const taken[] = {
    PREFIX "method", PREFIX "token.endpoint.url", PREFIX "client.id",  PREFIX "client.secret",
    PREFIX "scope",  PREFIX "extensions",         PREFIX "grant.type", "https.ca.location"};

static struct {
    pthread_mutex_t mutex;
    struct wp_settings settings; /* those of `taken` */
    char failure[FAILURE_MAX];
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *setting(const struct wp_settings *settings, const char *key) {
    const char *value = wp_settings_get(settings, key);
    return value && *value ? value : NULL;
}

static bool is_taken(const char *key) {
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(taken[i], key) == 0) return true;
    return false;
}

/* Another grant, or a property that is not known here, is librdkafka's. */
static bool is_ours(const struct wp_settings *kafka) {
    const char *method = setting(kafka, PREFIX "method"), *grant = setting(kafka, PREFIX "grant.type");
    if (!method || strcmp(method, "oidc") != 0 || (grant && strcmp(grant, "client_credentials") != 0))
        return false;
    for (size_t i = 0; i < kafka->count; i++)
        if (strncmp(kafka->list[i].key, PREFIX, strlen(PREFIX)) == 0 && !is_taken(kafka->list[i].key))
            return false;
    return true;
}

bool wp_oauth_takes(const struct wp_settings *kafka, const char *key) {
    return is_taken(key) && is_ours(kafka);
}

/* ---- the settings ---- */

static enum wp_err check(const struct wp_settings *kafka, struct wp_error *error) {
    static const char *const needed[] = {PREFIX "token.endpoint.url", PREFIX "client.id",
                                         PREFIX "client.secret"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!setting(kafka, needed[i]))
            return wp_fail(error, WP_ERR_CONFIG, "kafka." PREFIX "method = oidc needs kafka.%s too",
                           needed[i]);
    const char *url = setting(kafka, PREFIX "token.endpoint.url");
    bool http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!http || strpbrk(url, " @"))
        return wp_fail(error, WP_ERR_CONFIG,
                       "kafka." PREFIX "token.endpoint.url is no address of a token endpoint; wanted is "
                       "https://HOST/PATH (or http://), without a user and a password");
    return WP_OK;
}

static void keep(const struct wp_settings *kafka) {
    pthread_mutex_lock(&shared.mutex);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        const char *value = setting(kafka, taken[i]);
        wp_settings_set(&shared.settings, taken[i], value ? value : "");
    }
    pthread_mutex_unlock(&shared.mutex);
}

/* *ret: a copy, for the time of a request, which borrows from it. */
static struct wp_oauth_request take_request(struct wp_settings *ret) {
    pthread_mutex_lock(&shared.mutex);
    for (size_t i = 0; i < shared.settings.count; i++)
        wp_settings_set(ret, shared.settings.list[i].key, shared.settings.list[i].value);
    pthread_mutex_unlock(&shared.mutex);
    return (struct wp_oauth_request){.url = setting(ret, PREFIX "token.endpoint.url"),
                                     .client_id = setting(ret, PREFIX "client.id"),
                                     .client_secret = setting(ret, PREFIX "client.secret"),
                                     .scope = setting(ret, PREFIX "scope"),
                                     .ca = setting(ret, "https.ca.location")};
}

void wp_oauth_failure(char *ret_text, size_t size) {
    pthread_mutex_lock(&shared.mutex);
    (void)snprintf(ret_text, size, "%s", shared.failure);
    pthread_mutex_unlock(&shared.mutex);
}

/* Each other failure is logged once, however many clients have it. */
static void note_failure(const char *text, const char *url) {
    pthread_mutex_lock(&shared.mutex);
    bool is_new = strcmp(shared.failure, text) != 0, is_over = *shared.failure && !*text;
    (void)snprintf(shared.failure, sizeof shared.failure, "%s", text);
    pthread_mutex_unlock(&shared.mutex);
    if (*text && is_new) wp_log(WP_LOG_WARN, "kafka_token_failed", "reason=%s", text);
    if (is_over) wp_log(WP_LOG_INFO, "kafka_token_back", "url=%s", url);
}

/* ---- a token ---- */

/* "key=value,key=value" of sasl.oauthbearer.extensions becomes key, value, key, value; the list borrows from
 * text, which is cut up. Returns how many strings there are. */
static size_t split_extensions(char *text, const char **ret_list, size_t max) {
    size_t count = 0;
    for (char *rest = text, *pair; count + 2 <= max && (pair = strsep(&rest, ","));) {
        char *value = strchr(pair, '=');
        if (!value) continue;
        *value++ = '\0';
        ret_list[count++] = pair + strspn(pair, " ");
        ret_list[count++] = value;
    }
    return count;
}

static enum wp_err hand_over(rd_kafka_t *rk, const struct wp_oauth_token *token, const char *extensions,
                             struct wp_error *error) {
    const char *list[32];
    char why[256] = "";
    char *text = wp_strndup(wp_str(extensions ? extensions : ""));
    size_t count = split_extensions(text, list, sizeof list / sizeof list[0]);
    rd_kafka_resp_err_t err = rd_kafka_oauthbearer_set_token(rk, token->token, token->expires_ms,
                                                             token->principal, list, count, why, sizeof why);
    free(text);
    if (!err) return WP_OK;
    return wp_fail(error, WP_ERR_KAFKA,
                   "librdkafka does not take the token of kafka." PREFIX
                   "token.endpoint.url, or kafka." PREFIX "extensions: %s",
                   why);
}

/* Called on a thread of the client's own, which may block. */
static void refresh(rd_kafka_t *rk, const char *ignored, void *opaque) {
    struct wp_settings settings = {0};
    struct wp_oauth_token token;
    struct wp_error error = {0};
    (void)ignored, (void)opaque;
    const struct wp_oauth_request request = take_request(&settings);
    enum wp_err err = wp_oauth_request(&request, &token, &error);
    if (!err) err = hand_over(rk, &token, setting(&settings, PREFIX "extensions"), &error);
    note_failure(err ? error.text : "", request.url);
    if (err) rd_kafka_oauthbearer_set_token_failure(rk, error.text); /* which asks again in ten seconds */
    wp_oauth_token_done(&token);
    wp_settings_done(&settings);
}

/* ---- clients ---- */

enum wp_err wp_oauth_set(rd_kafka_conf_t *conf, const struct wp_settings *kafka, struct wp_error *error) {
    if (!is_ours(kafka)) return WP_OK;
    enum wp_err err = check(kafka, error);
    if (err) return err;
    keep(kafka);
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh);
    rd_kafka_conf_enable_sasl_queue(conf, 1);
    return WP_OK;
}

enum wp_err wp_oauth_start(rd_kafka_t *rk, const struct wp_settings *kafka, struct wp_error *error) {
    if (!is_ours(kafka)) return WP_OK;
    rd_kafka_error_t *failed = rd_kafka_sasl_background_callbacks_enable(rk);
    if (!failed) return WP_OK;
    wp_fail(error, WP_ERR_KAFKA, "librdkafka starts no thread for tokens: %s", rd_kafka_error_string(failed));
    rd_kafka_error_destroy(failed);
    return WP_ERR_KAFKA;
}
