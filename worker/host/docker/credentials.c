#include "host/docker/credentials.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/base64.h"
#include "host/docker/image_name.h"

#define FILE_MAX (1 << 20)

static const char *text_of(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static void wipe(struct wp_buf *buf) {
    if (buf->data) explicit_bzero(buf->data, buf->cap);
    wp_buf_done(buf);
}

/* --- which entry ------------------------------------------------------------------------------------------
 */

/* "https://index.docker.io/v1/" is "index.docker.io", as Docker compares the keys of `auths`. */
static struct wp_str host_of(const char *key) {
    const char *at = strncmp(key, "https://", 8) == 0  ? key + 8
                     : strncmp(key, "http://", 7) == 0 ? key + 7
                                                       : key;
    return (struct wp_str){at, strcspn(at, "/")};
}

static bool is_for(const char *key, struct wp_str registry) {
    struct wp_str host = host_of(key);
    return wp_str_eq(host, registry) ||
           (wp_str_is(registry, WP_DOCKER_HUB) && wp_str_is(host, "index.docker.io"));
}

static const json_t *entry_of(const json_t *auths, struct wp_str registry) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)auths, key, value) {
        if (is_for(key, registry)) return value;
    }
    return NULL;
}

static void find_helper(struct wp_credentials *ret, const json_t *config, struct wp_str registry) {
    const json_t *own = entry_of(json_object_get(config, "credHelpers"), registry);
    const char *name = json_is_string(own) ? json_string_value(own) : text_of(config, "credsStore");
    if (*name) snprintf(ret->helper, sizeof ret->helper, "docker-credential-%.40s", name);
}

/* --- the header -------------------------------------------------------------------------------------------
 */

/* `auth` is the base64 of user:password; `username` and `password` may also stand alone. False: malformed. */
static bool add_user(json_t *header, const json_t *entry) {
    struct wp_buf plain = {0};
    const char *user = text_of(entry, "username"), *password = text_of(entry, "password");
    size_t user_length = strlen(user), password_length = strlen(password);
    bool ok = wp_base64_decode(&plain, wp_str(text_of(entry, "auth")));
    if (ok && plain.len > 0) {
        const char *colon = memchr(plain.data, ':', plain.len);
        ok = colon != NULL;
        user = plain.data;
        user_length = ok ? (size_t)(colon - user) : 0;
        password = ok ? colon + 1 : "";
        password_length = ok ? plain.len - user_length - 1 : 0;
    }
    while (password_length > 0 && password[password_length - 1] == '\0')
        password_length--; /* as Docker does */
    json_t *both =
        ok ? json_pack("{s:s%, s:s%}", "username", user, user_length, "password", password, password_length)
           : NULL; /* NULL, too, when one is not UTF-8 */
    ok = both && json_object_update(header, both) == 0;
    json_decref(both);
    wipe(&plain);
    return ok;
}

/* The header is JSON in the base64 that URLs may hold. */
static char *encode(const json_t *header) {
    struct wp_buf out = {0};
    char *text = json_dumps(header, JSON_COMPACT);
    wp_base64_encode(&out, wp_str(text));
    wp_buf_add(&out, "", 1);
    explicit_bzero(text, strlen(text));
    free(text);
    for (char *at = out.data; *at; at++) *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    return out.data;
}

static bool is_empty(const json_t *entry) {
    return !*text_of(entry, "auth") && !*text_of(entry, "identitytoken") &&
           !*text_of(entry, "registrytoken") && !*text_of(entry, "username");
}

static bool make_header(struct wp_credentials *ret, const json_t *entry, struct wp_str registry) {
    static const char *const tokens[] = {"identitytoken", "registrytoken"};
    bool hub = wp_str_is(registry, WP_DOCKER_HUB);
    json_t *header = json_object();
    for (size_t i = 0; i < 2; i++)
        if (*text_of(entry, tokens[i])) json_object_set(header, tokens[i], json_object_get(entry, tokens[i]));
    json_object_set_new(header, "serveraddress",
                        hub ? json_string("https://index.docker.io/v1/")
                            : json_stringn(registry.ptr, registry.len));
    bool ok = add_user(header, entry);
    if (ok) ret->auth = encode(header);
    json_decref(header);
    return ok;
}

enum wp_err wp_credentials_parse(struct wp_credentials *ret, struct wp_str text, const char *file,
                                 struct wp_str registry, struct wp_error *error) {
    *ret = (struct wp_credentials){0};
    json_t *config = json_loadb(text.ptr, text.len, 0, NULL);
    const json_t *entry = entry_of(json_object_get(config, "auths"), registry);
    bool ok = true;
    if (entry && !is_empty(entry))
        ok = make_header(ret, entry, registry);
    else
        find_helper(ret, config, registry);
    bool is_config = json_is_object(config);
    json_decref(config);
    if (!is_config)
        return wp_fail(error, WP_ERR_CONFIG,
                       "docker.config = %s is no JSON object; Docker's config.json is wanted", file);
    if (!ok)
        return wp_fail(error, WP_ERR_CONFIG,
                       "docker.config = %s: `auth` of %.*s is not the base64 of user:password", file,
                       (int)registry.len, registry.ptr);
    return WP_OK;
}

enum wp_err wp_credentials_read(struct wp_credentials *ret, const char *file, struct wp_str registry,
                                struct wp_error *error) {
    struct wp_buf text = {0};
    *ret = (struct wp_credentials){0};
    if (!*file) return WP_OK;
    FILE *in = fopen(file, "re");
    if (!in)
        return wp_fail(error, WP_ERR_CONFIG, "docker.config = %s cannot be read: %s", file, strerror(errno));
    text.len = fread(wp_buf_reserve(&text, FILE_MAX), 1, FILE_MAX, in);
    bool failed = ferror(in) != 0;
    fclose(in);
    enum wp_err err = failed ? wp_fail(error, WP_ERR_CONFIG, "docker.config = %s cannot be read", file)
                             : wp_credentials_parse(ret, wp_buf_str(&text), file, registry, error);
    wipe(&text);
    return err;
}

void wp_credentials_done(struct wp_credentials *credentials) {
    if (credentials->auth) explicit_bzero(credentials->auth, strlen(credentials->auth));
    free(credentials->auth);
    *credentials = (struct wp_credentials){0};
}
