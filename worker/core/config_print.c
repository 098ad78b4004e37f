/* Prints the table of parameters: as --help, as docs/configuration.md, and the values in force with passwords
 * masked. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "core/config_table.h"

/* ---- --help ---- */

static void print_plain(FILE *out, const char *markdown) {
    for (; *markdown; markdown++) {
        if (*markdown != '`') putc(*markdown, out);
    }
}

void wp_config_print_help(FILE *out) {
    fputs("Keys, with their defaults. Set one by [section] key = value in a file (-c), by the environment\n"
          "(WARMPOOL_SECTION_KEY) or by -o section.key=value; the last of these wins.\n",
          out);
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (wp_param_starts_section(param)) putc('\n', out);
        fprintf(out, "  %s = %s%s%s%s\n      ", param->key, param->default_value, *param->unit ? " (" : "",
                param->unit, *param->unit ? ")" : "");
        print_plain(out, param->text);
        putc('\n', out);
    }
}

/* ---- docs/configuration.md ---- */

const char wp_config_introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `build/warmpool worker --reference > docs/configuration.md`; change the table in\n"
    "     worker/core/config_table.c instead. -->\n"
    "\n"
    "Every key has a default, and four places may set it. A later one wins:\n"
    "\n"
    "1. the default;\n"
    "2. the file given by `-c FILE`;\n"
    "3. the environment: `pool.max_containers` is `WARMPOOL_POOL_MAX_CONTAINERS`;\n"
    "4. the command line: `-o pool.max_containers=50`, as often as needed.\n"
    "\n"
    "An unknown key or a value out of range ends the start with a sentence that says where it stands and "
    "what is wanted.\n"
    "`warmpool check` tries a configuration and every connection without starting a worker.\n"
    "\n"
    "The file is INI. A key may contain dots, so a section may stop early: `size.react` in `[pool]` is "
    "`pool.size.react`.\n"
    "A line that begins with `#` or `;`, and what follows a ` ;`, is a comment; give a value that contains ` "
    ";` by `-o` or\n"
    "the environment.\n"
    "\n"
    "```ini\n"
    "[kafka]\n"
    "bootstrap.servers = kafka-1:9092,kafka-2:9092\n"
    "\n"
    "[redis]\n"
    "url = redis://warmpool:secret@redis:6379\n"
    "\n"
    "[pool]\n"
    "size = 20\n"
    "size.react = 50\n"
    "\n"
    "[cache]\n"
    "ttl.tool = 600\n"
    "```\n"
    "\n"
    "A line `include = conf.d` before the first section reads all files `*.ini` of that folder, in the order "
    "of "
    "their names, or one file;\n"
    "a path is relative to the file's own folder. What is included wins over the file, a later one over an "
    "earlier one.\n"
    "\n"
    "Keys that end in capitals, such as `pool.size.PHILOSOPHY`, are families. In the environment their last "
    "part is written in capitals, too: "
    "`WARMPOOL_POOL_SIZE_REACT`\n"
    "is `pool.size.react`, `WARMPOOL_CACHE_TTL_TOOL` is `cache.ttl.tool`, and in "
    "`WARMPOOL_KAFKA_BOOTSTRAP_SERVERS` every\n"
    "underscore stands for a dot. Names with capitals or a hyphen can only be set by the file or by `-o`.\n"
    "\n"
    "`WARMPOOL_READY_FD` and `WARMPOOL_CONTAINER_*` are not configuration: a host sets them for the "
    "containers it starts. Nor\n"
    "are the names that Kubernetes makes of a Service `warmpool` or `warmpool-...`: "
    "`WARMPOOL_SERVICE_HOST`, `WARMPOOL_PORT` and the like.\n"
    "\n"
    "## While a worker runs\n"
    "\n"
    "A worker reads its sources again at SIGHUP, or when `warmpool reload` asks it to. It takes over all of "
    "it or, when something is wrong, "
    "nothing: then it goes\n"
    "on as before, and the command and the log say why (`reload_failed`). Each key that has changed is "
    "logged with both "
    "values (`config_changed`),\n"
    "passwords and environments of containers without theirs. The column *changed by reload* says when a new "
    "value applies:\n"
    "\n"
    "- *at once*;\n"
    "- *new containers*: to those that are made from then on. Outdated containers of a Docker engine are "
    "replaced, as after a restart;\n"
    "- *restart*: the worker goes on with the old value until it is started anew, and the log names the key "
    "(`config_needs_restart`).\n"
    "\n"
    "Environment and `-o` are those of the worker's start, and win over the file as they did then. All "
    "workers of a deployment\n"
    "need the same values of `[pool]`, `[tenant]`, `[cache]` and `[predictor]`: reload each of them.\n"
    "\n"
    "## Passwords\n"
    "\n"
    "Give passwords by the file or the environment: every user of a machine can read command lines, and so "
    "`-o`.\n";

static void print_row(FILE *out, const struct wp_param *param) {
    struct wp_buf values = {0};
    wp_param_describe(param, &values);
    fprintf(out, "| `%s` | %s%s%s | %.*s | %s | %s | %s |\n", param->key,
            *param->default_value ? "`" : "empty", param->default_value, *param->default_value ? "`" : "",
            (int)values.len, values.data, *param->unit ? param->unit : "-",
            wp_applies_word(wp_param_applies(param)), param->text);
    wp_buf_done(&values);
}

void wp_config_print_reference(FILE *out) {
    fputs(wp_config_introduction, out);
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (wp_param_starts_section(param)) {
            fprintf(out,
                    "\n## %.*s\n\n| key | default | value | unit | changed by reload | meaning "
                    "|\n|---|---|---|---|---|---|\n",
                    (int)wp_param_section(param), param->key);
        }
        print_row(out, param);
    }
}

/* ---- the values in force ---- */

static bool contains(const char *text, const char *word) {
    return strstr(text, word) != NULL;
}

static bool is_secret(const char *key) {
    return contains(key, "password") || contains(key, "token") || contains(key, "secret") ||
           contains(key, "key.pem") || contains(key, "sasl.oauthbearer.config") || contains(key, "jaas") ||
           contains(key, "trace.headers");
}

/* scheme://user:password@host: the password begins at the first ':' after "//" and ends at the last '@' of
 * the authority. */
static void add_masked_url(struct wp_buf *out, const char *url) {
    const char *authority = strstr(url, "://");
    const char *at = NULL;
    if (authority) {
        authority += 3;
        /* A password may hold an unescaped '/', so the last '@' of all counts: better too much is hidden than
         * too little. */
        at = strrchr(authority, '@');
    }
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon)
        wp_buf_printf(out, "%.*s:***%s", (int)(colon - url), url, at);
    else
        wp_buf_add_str(out, url);
}

/* NAME=value,NAME=value: what containers get may be credentials. */
static void add_masked_environment(struct wp_buf *out, const char *list) {
    for (const char *at = list; *at; at += *at == ',') {
        size_t length = strcspn(at, ","), name = strcspn(at, "=");
        if (at > list) wp_buf_add_str(out, ",");
        wp_buf_printf(out, "%.*s=***", (int)(name < length ? name : 0), at);
        at += length;
    }
}

void wp_param_mask(struct wp_buf *out, const char *key, const char *value) {
    if (is_secret(key) && *value)
        wp_buf_add_str(out, "***");
    else if (strncmp(key, "docker.environment", strlen("docker.environment")) == 0)
        add_masked_environment(out, value);
    else
        add_masked_url(out, value);
}

static void print_value(FILE *out, const char *key, const char *value) {
    struct wp_buf text = {0};
    wp_param_mask(&text, key, value);
    fprintf(out, "%.*s\n", (int)text.len, text.data ? text.data : "");
    wp_buf_done(&text);
}

static void print_family(const struct wp_config *config, const struct wp_param *param, FILE *out) {
    const struct wp_settings *family = wp_param_field(config, param);
    for (size_t i = 0; i < family->count; i++) {
        char *key = wp_format("%.*s%s", (int)wp_param_prefix(param), param->key, family->list[i].key);
        fprintf(out, "%s = ", key + wp_param_section(param) + 1);
        print_value(out, key, family->list[i].value);
        free(key);
    }
}

static void print_single(const struct wp_config *config, const struct wp_param *param, FILE *out) {
    struct wp_buf value = {0};
    wp_param_format(config, param, &value);
    wp_buf_add(&value, "", 1);
    fprintf(out, "%s = ", param->key + wp_param_section(param) + 1);
    print_value(out, param->key, value.data);
    wp_buf_done(&value);
}

void wp_config_print(const struct wp_config *config, FILE *out) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (wp_param_starts_section(param)) {
            fprintf(out, "%s[%.*s]\n", param == wp_params ? "" : "\n", (int)wp_param_section(param),
                    param->key);
        }
        if (wp_param_is_family(param))
            print_family(config, param, out);
        else
            print_single(config, param, out);
    }
}
