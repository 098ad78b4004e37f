/* Makes the body of the engine's create request from the configuration. Pure. */
#include "host/definition.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"

static const char *own(const struct wp_settings *of, const char *philosophy, const char *default_value) {
    const char *value = wp_settings_get(of, philosophy);
    return value ? value : default_value;
}

#define FIELD(name) own(&config->docker.name##_of, philosophy, config->docker.name)

const char *wp_definition_image(const struct wp_config *config, const char *philosophy) {
    return FIELD(image);
}

const char *wp_definition_command(const struct wp_config *config, const char *philosophy) {
    return FIELD(command);
}

static const char *const pulls[] = {
    [WP_PULL_NEVER] = "never", [WP_PULL_MISSING] = "missing", [WP_PULL_ALWAYS] = "always"};

/* -1: it is none of the words. */
static int parse_pull(const char *text) {
    int pull = WP_PULL_ALWAYS;
    while (pull >= 0 && strcmp(pulls[pull], text) != 0) pull--;
    return pull;
}

static void raise_pull(int *most, const struct wp_config *config, const char *philosophy, const char *image) {
    int pull = parse_pull(FIELD(pull));
    if (strcmp(wp_definition_image(config, philosophy), image) == 0 && pull > *most) *most = pull;
}

enum wp_pull wp_definition_pull(const struct wp_config *config, const char *image) {
    const struct wp_settings *own_images = &config->docker.image_of, *own_pulls = &config->docker.pull_of;
    int most = WP_PULL_NEVER;
    raise_pull(&most, config, "", image);
    for (size_t i = 0; i < own_images->count; i++) raise_pull(&most, config, own_images->list[i].key, image);
    for (size_t i = 0; i < own_pulls->count; i++) raise_pull(&most, config, own_pulls->list[i].key, image);
    return (enum wp_pull)most;
}

static enum wp_ready parse_ready(const char *text, const char **ret_path) {
    static const struct {
        const char *word;
        enum wp_ready ready;
    } forms[] = {{"file:", WP_READY_FILE}, {"tcp:", WP_READY_TCP}, {"http:", WP_READY_HTTP}};
    *ret_path = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strncmp(text, forms[i].word, strlen(forms[i].word)) != 0) continue;
        *ret_path = text + strlen(forms[i].word);
        return forms[i].ready;
    }
    return strcmp(text, "healthy") == 0 ? WP_READY_HEALTHY : WP_READY_RUNNING;
}

enum wp_ready wp_definition_ready(const struct wp_config *config, const char *philosophy,
                                  const char **ret_path) {
    return parse_ready(FIELD(ready), ret_path);
}

char *wp_definition_owner(const struct wp_config *config) {
    return wp_format("%s/%s", config->redis.prefix, config->topics.prefix);
}

/* --- checks --------------------------------------------------------------------------------------------- */

#define FAIL(key, value, wanted) wp_fail(error, WP_ERR_CONFIG, "%s = %s: %s is wanted", key, value, wanted)

/* The text after the port number at its beginning; "?" when it does not begin with one. */
static const char *after_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    long port = strtol(text, NULL, 10);
    return digits > 0 && digits < 6 && port > 0 && port < 65536 ? text + digits : "?";
}

static enum wp_err check_ready(const char *key, const char *value, struct wp_error *error) {
    const char *path;
    enum wp_ready ready = parse_ready(value, &path);
    bool known = ready == WP_READY_HEALTHY || (ready == WP_READY_RUNNING && strcmp(value, "running") == 0) ||
                 (ready == WP_READY_FILE && path[0] == '/') ||
                 (ready == WP_READY_TCP && *after_port(path) == '\0') ||
                 (ready == WP_READY_HTTP && (*after_port(path) == '/' || *after_port(path) == '\0'));
    return known ? WP_OK : FAIL(key, value, "running, healthy, file:/path, tcp:PORT or http:PORT/path");
}

static enum wp_err check_image(const char *key, const char *value, struct wp_error *error) {
    return *value ? WP_OK : FAIL(key, "", "the name of an image");
}

static enum wp_err check_pull(const char *key, const char *value, struct wp_error *error) {
    return parse_pull(value) >= 0 ? WP_OK : FAIL(key, value, "never, missing or always");
}

/* Calls check for each part of a list that is separated by commas. */
static bool each_part(const char *text, bool (*check)(const char *part, size_t length)) {
    for (const char *at = text; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (!check(at, length)) return false;
        at += length;
    }
    return true;
}

static bool is_variable(const char *part, size_t length) {
    const char *equals = memchr(part, '=', length);
    return equals && equals > part;
}

static bool is_mount(const char *part, size_t length) {
    const char *colon = memchr(part, ':', length);
    return colon && colon > part && colon[1] == '/' && (size_t)(colon - part) + 2 < length;
}

static enum wp_err check_environment(const char *key, const char *value, struct wp_error *error) {
    return each_part(value, is_variable) ? WP_OK : FAIL(key, value, "NAME=value, separated by commas,");
}

static enum wp_err check_mounts(const char *key, const char *value, struct wp_error *error) {
    return each_part(value, is_mount) ? WP_OK : FAIL(key, value, "source:/target[:ro], separated by commas,");
}

typedef enum wp_err check_fn(const char *key, const char *value, struct wp_error *error);

static enum wp_err check_field(const char *key, const char *default_value, const struct wp_settings *of,
                               check_fn *check, struct wp_error *error) {
    enum wp_err err = check(key, default_value, error);
    for (size_t i = 0; err == WP_OK && i < of->count; i++) {
        char *whole = wp_format("%s.%s", key, of->list[i].key);
        err = check(whole, of->list[i].value, error);
        free(whole);
    }
    return err;
}

/* ready = tcp or http needs a container with an address of its own. */
static enum wp_err check_reachable(const struct wp_config *config, const char *philosophy,
                                   struct wp_error *error) {
    const char *path, *ready = FIELD(ready), *network = FIELD(network);
    enum wp_ready kind = parse_ready(ready, &path);
    bool without = strcmp(network, "none") == 0 || strcmp(network, "host") == 0 ||
                   strncmp(network, "container:", 10) == 0;
    if ((kind != WP_READY_TCP && kind != WP_READY_HTTP) || !without) return WP_OK;
    return wp_fail(
        error, WP_ERR_CONFIG,
        "docker.ready%s%s = %s: with the network %s its containers have no address of their own; set "
        "docker.network%s%s, such as bridge",
        *philosophy ? "." : "", philosophy, ready, network, *philosophy ? "." : "", philosophy);
}

enum wp_err wp_definition_check(const struct wp_config *config, struct wp_error *error) {
    enum wp_err err = WP_OK;
#define CHECK(name)                                                                                          \
    if (err == WP_OK)                                                                                        \
        err = check_field("docker." #name, config->docker.name, &config->docker.name##_of, check_##name,     \
                          error);
    CHECK(image)
    CHECK(pull)
    CHECK(ready)
    CHECK(environment)
    CHECK(mounts)
    const struct wp_settings *own[] = {&config->docker.ready_of, &config->docker.network_of};
    if (err == WP_OK) err = check_reachable(config, "", error);
    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; err == WP_OK && i < own[n]->count; i++)
            err = check_reachable(config, own[n]->list[i].key, error);
    }
    return err;
}

/* --- the body ------------------------------------------------------------------------------------------- */

static json_t *parts_of(const char *text) {
    json_t *list = json_array();
    for (const char *at = text; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (length > 0) json_array_append_new(list, json_stringn(at, length));
        at += length;
    }
    return list;
}

static json_t *environment_of(const struct wp_config *config, const struct wp_container_spec *spec,
                              const char *philosophy) {
    json_t *list = parts_of(FIELD(environment));
    json_array_append_new(list, json_sprintf("WARMPOOL_CONTAINER_ID=%.*s", (int)spec->id.len, spec->id.ptr));
    json_array_append_new(list, json_sprintf("WARMPOOL_PHILOSOPHY=%s", philosophy));
    return list;
}

/* Raise it when the body has changed so much that containers of earlier versions are to be replaced. */
#define FORMAT 1

static const char *whole(const struct wp_settings *of, const char *philosophy, double default_value,
                         char room[32]) {
    const char *value = wp_settings_get(of, philosophy);
    snprintf(room, 32, "%.17g", value ? strtod(value, NULL) : default_value);
    return room;
}

void wp_definition_fingerprint(const struct wp_config *config, const char *philosophy,
                               char ret[WP_FINGERPRINT_SIZE]) {
    char cpu[32], memory[32];
    json_t *all = json_pack("[i, s, s, s, s, s, s, s, s, s, s, I, I, I, b]", FORMAT, FIELD(command),
                            FIELD(environment), FIELD(mounts), FIELD(network), FIELD(user), FIELD(ready),
                            config->host.claims, config->docker.claims_volume,
                            whole(&config->pool.cpu_percent_of, philosophy, config->pool.cpu_percent, cpu),
                            whole(&config->pool.memory_mb_of, philosophy, config->pool.memory_mb, memory),
                            (json_int_t)config->docker.pids, (json_int_t)config->docker.tmp_mb,
                            (json_int_t)config->docker.shm_mb, wp_config_cleans(config, philosophy));
    wp_assert(all);
    char *text = json_dumps(all, JSON_COMPACT);
    snprintf(ret, WP_FINGERPRINT_SIZE, "%016llx", (unsigned long long)wp_str_hash64(wp_str(text)));
    free(text);
    json_decref(all);
}

static json_t *labels_of(const struct wp_config *config, const char *philosophy) {
    char *owner = wp_definition_owner(config), definition[WP_FINGERPRINT_SIZE];
    wp_definition_fingerprint(config, philosophy, definition);
    json_t *labels = json_pack("{s:s, s:s, s:s, s:s}", WP_LABEL_PREFIX, owner, WP_LABEL_HOST,
                               config->host.name, WP_LABEL_POOL, philosophy, WP_LABEL_DEFINITION, definition);
    free(owner);
    return labels;
}

/* The hardening of every container: no capabilities and no way to gain any, a read-only root with a /tmp and
 * a small /dev/shm of its own, bounds on processes, memory and processor, no swap beyond the memory, and a
 * bounded log. */
static json_t *host_config(const struct wp_config *config, const struct wp_container_spec *spec,
                           const char *philosophy, const char *claims) {
    json_int_t memory = spec->limits.memory_mb > 0 ? (json_int_t)(ceil(spec->limits.memory_mb) * 1048576) : 0;
    json_int_t quota = spec->limits.cpu_percent > 0 ? (json_int_t)(spec->limits.cpu_percent * 1000) : 0;
    json_t *host = json_pack(
        "{s:[s], s:[s], s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:{s:s}, s:{s:s, s:{s:s, s:s}}}",
        "CapDrop", "ALL", "SecurityOpt", "no-new-privileges:true", "ReadonlyRootfs", true, "IpcMode",
        "private", "ShmSize", (json_int_t)config->docker.shm_mb * 1048576, "PidsLimit",
        (json_int_t)config->docker.pids, "Memory", memory, "MemorySwap", memory, "CpuPeriod",
        (json_int_t)100000, "CpuQuota", quota, "NetworkMode", FIELD(network), "Binds",
        parts_of(FIELD(mounts)), "RestartPolicy", "Name", "no", "LogConfig", "Type", "json-file", "Config",
        "max-size", "1m", "max-file", "1");
    if (*claims)
        json_array_append_new(json_object_get(host, "Binds"), json_sprintf("%s/%.*s:/run/warmpool:ro", claims,
                                                                           (int)spec->id.len, spec->id.ptr));
    if (config->docker.tmp_mb > 0) {
        json_object_set_new(host, "Tmpfs",
                            json_pack("{s:o}", "/tmp",
                                      json_sprintf("rw,nosuid,nodev,noexec,mode=1777,size=%lldm",
                                                   (long long)config->docker.tmp_mb)));
    }
    return host;
}

json_t *wp_definition_body(const struct wp_config *config, const struct wp_container_spec *spec,
                           const char *claims) {
    char *philosophy = wp_strndup(spec->philosophy);
    const char *command = FIELD(command);
    json_t *body =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "Image", FIELD(image), "User", FIELD(user), "Env",
                  environment_of(config, spec, philosophy), "Labels", labels_of(config, philosophy),
                  "HostConfig", host_config(config, spec, philosophy, claims));
    if (*command) {
        json_object_set_new(body, "Entrypoint", json_pack("[s, s]", "/bin/sh", "-c"));
        json_object_set_new(body, "Cmd", json_pack("[s]", command));
    }
    wp_assert(body);
    free(philosophy);
    return body;
}
