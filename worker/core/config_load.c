/* The INI file with what it includes, and the environment, all ending in wp_config_set. One thread at a time.
 *
 * Lines reach inih through our own reader: it counts them for the error sentences, takes leading blanks away
 * (inih would read an indented "key = value" as a continuation of the line before) and refuses what inih
 * would cut in two. */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include "core/config_include.h"
#include "core/config_table.h"

#define LINE_MAX_BYTES 16384

/* Debian's inih exports its limits as variables. Elsewhere they are only macros of the library's build, and
 * these weak symbols are NULL. */
extern int ini_max_line __attribute__((weak));
extern bool ini_use_stack __attribute__((weak));

struct ini_source {
    FILE *file;
    const char *path;
    struct wp_config *config;
    struct wp_error *error;
    struct wp_config_files *included; /* NULL: this file is included itself, and may not include others */
    int line;
    bool failed; /* error holds the first failure */
};

static void fail_at(struct ini_source *source, const char *what) {
    if (source->failed) return;
    source->failed = true;
    wp_fail(source->error, WP_ERR_CONFIG, "%s (file %s, line %d)", what, source->path, source->line);
}

static void skip_line(FILE *file) {
    for (int c = getc(file); c != EOF && c != '\n';) c = getc(file);
}

/* Up to the end of the line, or of the room. Returns the bytes read; 0: the file has ended. */
static size_t read_bytes(FILE *file, char *into, size_t room) {
    size_t len = 0;
    int c = 0;
    while (len + 1 < room && c != '\n' && (c = getc(file)) != EOF) into[len++] = (char)c;
    into[len] = '\0';
    return len;
}

/* What is wrong with a line, for the caller to free; NULL: nothing. */
static char *fault_of(struct ini_source *source, const char *line, size_t len, int room) {
    if (strlen(line) != len) /* inih would pass over the rest of it in silence */
        return wp_strdup("configuration: there is a NUL byte; the file has to be UTF-8 text");
    if (line[len - 1] == '\n' || feof(source->file)) return NULL;
    skip_line(source->file);
    return wp_format("configuration: a line of more than %d bytes cannot be read; give this value by -o or "
                     "the environment",
                     room - 2);
}

static char *read_line(char *into, int room, void *user) {
    struct ini_source *source = user;
    size_t len = read_bytes(source->file, into, (size_t)room);
    if (len == 0) return NULL;
    source->line++;
    char *fault = fault_of(source, into, len, room);
    if (fault) {
        fail_at(source, fault);
        len = 0;
        into[0] = '\0';
    }
    free(fault);
    size_t blanks = strspn(into, " \t");
    memmove(into, into + blanks, len - blanks + 1);
    return into;
}

/* What is included is read after the file itself, so that it wins, wherever its line stands. */
static void on_include(struct ini_source *source, const char *section, const char *value) {
    struct wp_error inner;
    if (*section)
        fail_at(source, "configuration: include has to stand before the first [section]");
    else if (!source->included)
        fail_at(source, "configuration: a file that is included cannot include others");
    else if (wp_config_include_find(source->path, value, source->included, &inner) != WP_OK)
        fail_at(source, inner.text);
}

static int on_pair(void *user, const char *section, const char *name, const char *value) {
    struct ini_source *source = user;
    if (source->failed) return 1;
    if (strcmp(name, "include") == 0) {
        on_include(source, section, value ? value : "");
        return 1;
    }
    struct wp_buf key = {0};
    wp_buf_printf(&key, "%s%s%s%c", section, *section ? "." : "", name, '\0');
    struct wp_error inner;
    if (wp_config_set(source->config, key.data, value ? value : "", &inner) != WP_OK)
        fail_at(source, inner.text);
    wp_buf_done(&key);
    return 1;
}

static enum wp_err load_one(struct wp_config *config, const char *path, struct wp_config_files *included,
                            struct wp_error *error) {
    FILE *file = fopen(path, "re");
    if (!file) {
        return wp_fail(error, WP_ERR_CONFIG, "configuration: the file %s cannot be read: %s", path,
                       strerror(errno));
    }
    if (&ini_max_line && &ini_use_stack) {
        ini_use_stack = false;
        ini_max_line = LINE_MAX_BYTES;
    }
    struct ini_source source = {
        .file = file, .path = path, .config = config, .error = error, .included = included};
    int bad_line = ini_parse_stream(read_line, &source, on_pair, &source);
    bool unreadable = ferror(file) != 0;
    fclose(file);
    if (unreadable)
        return wp_fail(error, WP_ERR_CONFIG, "configuration: the file %s cannot be read to its end", path);
    if (!source.failed && bad_line != 0) {
        source.line = bad_line;
        fail_at(&source, "configuration: neither [section] nor key = value");
    }
    return source.failed ? WP_ERR_CONFIG : WP_OK;
}

enum wp_err wp_config_load_file(struct wp_config *config, const char *path, struct wp_error *error) {
    struct wp_config_files included = {0};
    enum wp_err err = load_one(config, path, &included, error);
    for (size_t i = 0; err == WP_OK && i < included.count; i++)
        err = load_one(config, included.list[i], NULL, error);
    wp_config_files_done(&included);
    return err;
}

/* ---- environment ---- */

#define ENV_PREFIX "WARMPOOL_"

/* Variables that a host sets for its containers; they are not configuration. */
static bool is_for_containers(const char *name) {
    return strcmp(name, "READY_FD") == 0 || strncmp(name, "CONTAINER_", strlen("CONTAINER_")) == 0;
}

/* What follows `words` in a name, where they begin it or a part of it; NULL: they are not there. */
static const char *after(const char *name, const char *words) {
    const char *at = name;
    while ((at = strstr(at, words)) && at > name && at[-1] != '_') at++;
    return at ? at + strlen(words) : NULL;
}

static bool ends_part(const char *rest) {
    return *rest == '\0' || *rest == '_';
}

/* Not configuration: what Kubernetes sets in every pod of a namespace with a Service warmpool or
 * warmpool-redis: WARMPOOL_SERVICE_HOST, WARMPOOL_SERVICE_PORT_HTTP, WARMPOOL_REDIS_PORT=tcp://10.0.0.1:6379,
 * WARMPOOL_PORT_9464_TCP_ADDR. */
static bool is_of_a_service(const char *name, const char *value) {
    const char *rest;
    if ((rest = after(name, "SERVICE_HOST"))) return *rest == '\0';
    if ((rest = after(name, "SERVICE_PORT"))) return ends_part(rest);
    if (!(rest = after(name, "PORT"))) return false;
    if (*rest == '\0') return strstr(value, "://") != NULL;
    if (*rest != '_') return false;
    rest += 1 + strspn(rest + 1, "0123456789");
    return (strncmp(rest, "_TCP", 4) == 0 || strncmp(rest, "_UDP", 4) == 0) && ends_part(rest + 4);
}

/* Does the first part of an environment name spell the key (or its first `length` bytes)? */
static bool spells(const char *name, const char *key, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char wanted = key[i] == '.' ? '_' : (char)toupper((unsigned char)key[i]);
        if (name[i] != wanted) return false;
    }
    return true;
}

static void add_lower(struct wp_buf *key, const char *text, bool dots) {
    for (; *text; text++) {
        char c = dots && *text == '_' ? '.' : (char)tolower((unsigned char)*text);
        wp_buf_add(key, &c, 1);
    }
}

/* Writes the key that an environment name stands for, NUL-terminated. An exact key wins over a family; a
 * property of Kafka has dots where a name of ours may have underscores. */
static void key_of(const char *name, struct wp_buf *ret) {
    const struct wp_param *family = NULL;
    for (const struct wp_param *param = wp_params; param->key; param++) {
        size_t length = strlen(param->key), prefix = wp_param_prefix(param);
        if (!wp_param_is_family(param) && strlen(name) == length && spells(name, param->key, length)) {
            wp_buf_add(ret, param->key, length + 1);
            return;
        }
        if (wp_param_is_family(param) && strlen(name) > prefix && spells(name, param->key, prefix))
            family = param;
    }
    if (family) {
        size_t prefix = wp_param_prefix(family);
        wp_buf_add(ret, family->key, prefix);
        add_lower(ret, name + prefix, family->type == WP_PARAM_TEXTS);
    } else { /* the nearest guess, for the error sentence alone */
        add_lower(ret, name, true);
    }
    wp_buf_add(ret, "", 1);
}

static enum wp_err load_variable(struct wp_config *config, const char *variable, struct wp_error *error) {
    const char *equals = strchr(variable, '=');
    if (!equals) return WP_OK;
    char *name = wp_strndup((struct wp_str){variable, (size_t)(equals - variable)});
    const char *own = name + strlen(ENV_PREFIX);
    struct wp_buf key = {0};
    enum wp_err err = WP_OK;
    if (!is_for_containers(own) && !is_of_a_service(own, equals + 1)) {
        key_of(own, &key);
        struct wp_error inner;
        err = wp_config_set(config, key.data, equals + 1, &inner);
        if (err != WP_OK) wp_fail(error, err, "%s (environment %s)", inner.text, name);
    }
    wp_buf_done(&key);
    free(name);
    return err;
}

enum wp_err wp_config_load_environment(struct wp_config *config, char **environment, struct wp_error *error) {
    for (char **at = environment; *at; at++) {
        if (strncmp(*at, ENV_PREFIX, strlen(ENV_PREFIX)) != 0) continue;
        enum wp_err err = load_variable(config, *at, error);
        if (err != WP_OK) return err;
    }
    return WP_OK;
}
