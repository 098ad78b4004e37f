/* What the Docker engine is asked to create. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include "core/buf.h"
#include "core/config_table.h"
#include "host/definition.h"

static struct wp_config config;
static void start(void) {
    wp_config_init(&config);
}
static void stop(void) {
    wp_config_done(&config);
}
TestSuite(definition, .init = start, .fini = stop);

static void set(const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&config, key, value, &error), WP_OK, "%s", error.text);
}

static json_t *body_of(double memory_mb) {
    struct wp_container_spec spec = {
        .id = WP_STR("wp-react-1"), .philosophy = WP_STR("react"), .limits = {150, memory_mb}};
    return wp_definition_body(&config, &spec, "");
}

static void expect(json_t *in, const char *key, const char *json) {
    char *text = json_dumps(json_object_get(in, key), JSON_ENCODE_ANY | JSON_COMPACT);
    cr_expect(text && strcmp(text, json) == 0, "%s is %s, not %s", key, text ? text : "not there", json);
    free(text);
}

static void expect_host(json_t *body, const char *key, const char *json) {
    expect(json_object_get(body, "HostConfig"), key, json);
}

Test(definition, every_container_is_hardened_and_limited) {
    json_t *body = body_of(128.5);
    expect(body, "Image", "\"debian:trixie-slim\"");
    expect(body, "User", "\"65534:65534\"");
    expect_host(body, "CapDrop", "[\"ALL\"]");
    expect_host(body, "SecurityOpt", "[\"no-new-privileges:true\"]");
    expect_host(body, "ReadonlyRootfs", "true");
    expect_host(body, "NetworkMode", "\"none\"");
    expect_host(body, "PidsLimit", "128");
    expect_host(body, "Memory", "135266304");
    expect_host(body, "MemorySwap", "135266304");
    expect_host(body, "CpuQuota", "150000");
    expect_host(body, "CpuPeriod", "100000");
    expect_host(body, "Tmpfs", "{\"/tmp\":\"rw,nosuid,nodev,noexec,mode=1777,size=64m\"}");
    expect_host(body, "IpcMode", "\"private\"");
    expect_host(body, "ShmSize", "16777216");
    json_decref(body);
}

Test(definition, a_philosophy_has_its_own_where_that_is_set) {
    set("docker.image.react", "agents/react:7");
    set("docker.command.react", "");
    set("docker.environment", "A=1");
    set("docker.environment.react", "B=2,C=x=y");
    set("docker.mounts.react", "/srv:/work:ro,cache:/cache");
    set("docker.network.react", "agents");
    set("docker.user.react", "1000");
    set("docker.tmp_mb", "0");
    json_t *body = body_of(64);
    expect(body, "Image", "\"agents/react:7\"");
    expect(body, "Env",
           "[\"B=2\",\"C=x=y\",\"WARMPOOL_CONTAINER_ID=wp-react-1\",\"WARMPOOL_PHILOSOPHY=react\"]");
    expect(body, "User", "\"1000\"");
    cr_expect_null(json_object_get(body, "Cmd"));
    expect_host(body, "Binds", "[\"/srv:/work:ro\",\"cache:/cache\"]");
    expect_host(body, "NetworkMode", "\"agents\"");
    cr_expect_null(json_object_get(json_object_get(body, "HostConfig"), "Tmpfs"));
    json_decref(body);
}

Test(definition, labels_say_whose_it_is) {
    set("redis.prefix", "mine");
    set("topics.prefix", "t.");
    set("host.name", "h1");
    json_t *body = body_of(64);
    json_t *labels = json_object_get(body, "Labels");
    expect(labels, "io.warmpool.prefix", "\"mine/t.\"");
    expect(labels, "io.warmpool.host", "\"h1\"");
    expect(labels, "io.warmpool.pool", "\"react\"");
    cr_expect_eq(strlen(json_string_value(json_object_get(labels, "io.warmpool.definition"))), 16);
    json_decref(body);
}

Test(definition, no_limit_is_none) {
    json_t *body = body_of(NAN);
    expect_host(body, "Memory", "0");
    json_decref(body);
}

Test(definition, what_cannot_be_used_is_named_with_what_is_wanted) {
    static const char *const wrong[][3] = {
        {"docker.ready", "soon",
         "docker.ready = soon: running, healthy, file:/path, tcp:PORT or http:PORT/path is wanted"},
        {"docker.ready", "tcp:0", "docker.ready = tcp:0: running"},
        {"docker.ready", "tcp:80/path", "docker.ready = tcp:80/path: running"},
        {"docker.ready", "http:/path", "docker.ready = http:/path: running"},
        {"docker.ready", "http:70000/", "docker.ready = http:70000/: running"},
        {"docker.ready", "tcp:80",
         "docker.ready = tcp:80: with the network none its containers have no address of their own; set "
         "docker.network"},
        {"docker.ready.react", "http:80/up",
         "docker.ready.react = http:80/up: with the network none its containers have no address of their "
         "own; set docker.network.react"},
        {"docker.ready.react", "file:relative",
         "docker.ready.react = file:relative: running, healthy, file:/path, tcp:PORT or http:PORT/path is "
         "wanted"},
        {"docker.image.react", "", "docker.image.react = : the name of an image is wanted"},
        {"docker.pull.react", "often", "docker.pull.react = often: never, missing or always is wanted"},
        {"docker.environment", "A=1,=2",
         "docker.environment = A=1,=2: NAME=value, separated by commas, is wanted"},
        {"docker.mounts.react", "/srv",
         "docker.mounts.react = /srv: source:/target[:ro], separated by commas, is wanted"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct wp_error error;
        set(wrong[i][0], wrong[i][1]);
        cr_assert_eq(wp_definition_check(&config, &error), WP_ERR_CONFIG, "%s", wrong[i][0]);
        cr_expect_eq(strncmp(error.text, wrong[i][2], strlen(wrong[i][2])), 0, "%s", error.text);
        wp_config_done(&config);
        wp_config_init(&config);
    }
    struct wp_error error;
    cr_assert_eq(wp_definition_check(&config, &error), WP_OK);
}

Test(definition, an_image_is_pulled_as_the_philosophy_says_that_wants_most) {
    set("docker.image", "common:1");
    set("docker.image.react", "own:1");
    set("docker.image.other", "own:1");
    cr_expect_eq(wp_definition_pull(&config, "common:1"), WP_PULL_NEVER);
    cr_expect_eq(wp_definition_pull(&config, "own:1"), WP_PULL_NEVER);
    set("docker.pull.other", "always");
    set("docker.pull.without-one-of-its-own", "missing");
    cr_expect_eq(wp_definition_pull(&config, "common:1"), WP_PULL_MISSING);
    cr_expect_eq(wp_definition_pull(&config, "own:1"), WP_PULL_ALWAYS);
    set("docker.pull", "missing");
    set("docker.pull.react", "never");
    set("docker.pull.other", "never");
    cr_expect_eq(wp_definition_pull(&config, "own:1"), WP_PULL_NEVER);
}

Test(definition, when_one_is_ready) {
    const char *path;
    cr_expect_eq(wp_definition_ready(&config, "react", &path), WP_READY_RUNNING);
    set("docker.ready", "healthy");
    set("docker.ready.react", "file:/tmp/up");
    cr_expect_eq(wp_definition_ready(&config, "other", &path), WP_READY_HEALTHY);
    cr_expect_eq(wp_definition_ready(&config, "react", &path), WP_READY_FILE);
    cr_expect_str_eq(path, "/tmp/up");
    set("docker.ready.react", "tcp:80");
    cr_expect_eq(wp_definition_ready(&config, "react", &path), WP_READY_TCP);
    cr_expect_str_eq(path, "80");
    set("docker.ready.react", "http:80/up");
    cr_expect_eq(wp_definition_ready(&config, "react", &path), WP_READY_HTTP);
    cr_expect_str_eq(path, "80/up");
}

Test(definition, the_folder_of_its_claims_is_mounted_to_be_read) {
    struct wp_container_spec spec = {
        .id = WP_STR("wp-react-1"), .philosophy = WP_STR("react"), .limits = {150, 64}};
    set("docker.mounts", "/srv:/work");
    json_t *body = wp_definition_body(&config, &spec, "/run/claims/h1");
    expect_host(body, "Binds", "[\"/srv:/work\",\"/run/claims/h1/wp-react-1:/run/warmpool:ro\"]");
    json_decref(body);
}

/* --- the fingerprint ------------------------------------------------------------------------------------ */

static const char *fingerprint(const char *philosophy) {
    static char text[WP_FINGERPRINT_SIZE];
    wp_definition_fingerprint(&config, philosophy, text);
    return text;
}

/* True when the fingerprint of react is another one with that setting. */
static bool changes(const char *key, const char *value) {
    char before[WP_FINGERPRINT_SIZE];
    wp_config_done(&config);
    wp_config_init(&config);
    snprintf(before, sizeof before, "%s", fingerprint("react"));
    set(key, value);
    return strcmp(before, fingerprint("react")) != 0;
}

static const struct {
    const char *key, *value;
} of_definition[] = {
    {"docker.command", "exec sleep 7"},
    {"docker.command.PHILOSOPHY", "exec sleep 7"},
    {"docker.environment", "A=1"},
    {"docker.environment.PHILOSOPHY", "A=1"},
    {"docker.mounts", "/srv:/work"},
    {"docker.mounts.PHILOSOPHY", "/srv:/work"},
    {"docker.network", "bridge"},
    {"docker.network.PHILOSOPHY", "bridge"},
    {"docker.user", "1000"},
    {"docker.user.PHILOSOPHY", "1000"},
    {"docker.ready", "healthy"},
    {"docker.ready.PHILOSOPHY", "healthy"},
    {"docker.pids", "64"},
    {"docker.tmp_mb", "32"},
    {"docker.shm_mb", "32"},
    {"pool.clean", "false"},
    {"pool.clean.PHILOSOPHY", "false"},
    {"docker.claims_volume", "claims"},
    {"host.claims", "/run/claims"},
    {"pool.cpu_percent", "70"},
    {"pool.cpu_percent.PHILOSOPHY", "70"},
    {"pool.memory_mb", "300"},
    {"pool.memory_mb.PHILOSOPHY", "300"},
};
enum { OF_DEFINITION = sizeof of_definition / sizeof of_definition[0] };

/* The key for react, where it stands for those of all philosophies. */
static const char *key_of(const char *key, const char *philosophy) {
    static char text[96];
    const char *word = strstr(key, "PHILOSOPHY");
    snprintf(text, sizeof text, "%.*s%s", word ? (int)(word - key) : (int)strlen(key), key,
             word ? philosophy : "");
    return text;
}

Test(definition, each_setting_of_it_changes_the_fingerprint) {
    for (size_t i = 0; i < OF_DEFINITION; i++)
        cr_expect(changes(key_of(of_definition[i].key, "react"), of_definition[i].value), "%s",
                  of_definition[i].key);
}

Test(definition, those_of_another_philosophy_leave_it) {
    for (size_t i = 0; i < OF_DEFINITION; i++) {
        if (!strstr(of_definition[i].key, "PHILOSOPHY")) continue;
        cr_expect_not(changes(key_of(of_definition[i].key, "other"), of_definition[i].value), "%s",
                      of_definition[i].key);
    }
}

/* A new setting of the runtime must be of the definition, or be named here. */
Test(definition, every_setting_of_the_runtime_is_of_it_or_is_known_not_to_be) {
    static const char *const others[] = {
        "docker.url",
        "docker.tls_ca",
        "docker.tls_cert",
        "docker.tls_key",
        "docker.timeout_ms",
        "docker.image", /* by its id */
        "docker.image.PHILOSOPHY",
        "docker.ready_timeout_ms",
        "docker.log_lines",
        "docker.pull",
        "docker.pull.PHILOSOPHY",
        "docker.pull_interval",
        "docker.config",
    };
    for (const struct wp_param *param = wp_params; param->key; param++) {
        bool known = strncmp(param->key, "docker.", 7) != 0;
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            known = known || strcmp(param->key, others[i]) == 0;
        for (size_t i = 0; i < OF_DEFINITION; i++)
            known = known || strcmp(param->key, of_definition[i].key) == 0;
        cr_expect(known, "%s: do containers differ by it?", param->key);
    }
}

Test(definition, what_differs_from_container_to_container_leaves_the_fingerprint) {
    struct wp_container_spec specs[] = {
        {.id = WP_STR("wp-react-1"), .philosophy = WP_STR("react"), .limits = {150, 64}},
        {.id = WP_STR("wp-react-2"), .philosophy = WP_STR("react"), .limits = {70, 300}}};
    json_t *bodies[2];
    for (int i = 0; i < 2; i++) bodies[i] = wp_definition_body(&config, &specs[i], i ? "/elsewhere" : "");
    cr_expect(json_equal(json_object_get(bodies[0], "Labels"), json_object_get(bodies[1], "Labels")));
    for (int i = 0; i < 2; i++) json_decref(bodies[i]);
    cr_expect_not(changes("docker.image", "agents/react:7"), "its id is compared");
    cr_expect_not(changes("docker.image.react", "agents/react:7"));
    cr_expect_not(changes("host.name", "h2"));
    cr_expect_not(changes("predictor.default_memory_mb", "99"));
}

/* Else an upgrade of warmpool would replace all containers. */
Test(definition, the_fingerprint_of_the_defaults_is_the_same_in_every_version_with_one_format) {
    cr_expect_str_eq(fingerprint("react"), "c23007fcaa41bd7f");
}

Test(definition, values_do_not_run_into_each_other) {
    char first[WP_FINGERPRINT_SIZE];
    set("docker.command", "a\",\"b");
    set("docker.environment", "");
    snprintf(first, sizeof first, "%s", fingerprint("react"));
    set("docker.command", "a");
    set("docker.environment", "b");
    cr_expect_str_neq(first, fingerprint("react"));
}
