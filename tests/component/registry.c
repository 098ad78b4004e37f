/* The registry room against a server that does what a real registry cannot be made to do: errors, nonsense,
 * silence, redirects. tests/e2e/test_schema_registry.py has a real one. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "registry/registry.h"
#include "support/http_script.h"
#include "support/limits.h"
#include "support/loop.h"

TestSuite(registry, .timeout = TEST_LIMIT_S);

#define SCHEMA                                                                                               \
    "{\"schema\": \"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"Ask\\\",\\\"fields\\\":["                  \
    "{\\\"name\\\":\\\"request_id\\\",\\\"type\\\":\\\"string\\\"},"                                         \
    "{\\\"name\\\":\\\"agent_id\\\",\\\"type\\\":\\\"string\\\"},"                                           \
    "{\\\"name\\\":\\\"philosophy\\\",\\\"type\\\":\\\"string\\\"}]}\"}"
#define UNKNOWN "{\"error_code\": 40403, \"message\": \"Schema not found\"}"
#define BROKEN "{\"error_code\": 50001, \"message\": \"Error in the backend data store\"}"

static struct world {
    uv_loop_t loop;
    struct wp_config config;
    struct wp_stats stats;
    struct wp_wire *wire;
    struct wp_registry *registry;
    struct http_script *server;
    int port;
    struct wp_arena arena;
    union wp_event event;
    struct wp_error error;
    bool ready;
    char refused[600];
} w;

/* settings: pairs, ended by NULL; url NULL: that of the server. */
static void open_world(const struct http_answer *answers, const char *url, const char *const *settings) {
    char own[64];
    memset(&w, 0, sizeof w);
    if (answers) w.server = http_script_start_tcp(&w.port, answers);
    snprintf(own, sizeof own, "http://127.0.0.1:%d", w.port);
    wp_config_init(&w.config);
    cr_assert_eq(wp_config_set(&w.config, "wire.registry.url", url ? url : own, &w.error), WP_OK);
    for (; settings && settings[0]; settings += 2)
        cr_assert_eq(wp_config_set(&w.config, settings[0], settings[1], &w.error), WP_OK, "%s", w.error.text);
    uv_loop_init(&w.loop);
    cr_assert_eq(wp_wire_new(&w.wire, &w.config, &w.error), WP_OK, "%s", w.error.text);
    w.registry = wp_registry_new(&w.loop, &w.config, &w.stats, w.wire);
}

static void close_world(void) {
    wp_registry_free(w.registry);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&w.loop), 0);
    wp_wire_free(w.wire);
    wp_arena_done(&w.arena);
    wp_config_done(&w.config);
    if (w.server) http_script_stop(w.server);
}

/* The datum r, a, react. */
static enum wp_err decode(uint8_t id) {
    char bytes[] = {0, 0, 0, 0, (char)id, 2, 'r', 2, 'a', 10, 'r', 'e', 'a', 'c', 't'};
    w.error = (struct wp_error){0};
    return wp_wire_decode(w.wire, WP_TOPIC_ACQUIRE, (struct wp_str){bytes, sizeof bytes}, &w.arena, &w.event,
                          &w.error);
}

/* As a partition does: again and again until there is an answer. */
static enum wp_err wait_for(uint8_t id) {
    enum wp_err err;
    while ((err = decode(id)) == WP_ERR_AGAIN) loop_turn(&w.loop);
    return err;
}

static void expect_dead(uint8_t id, const char *part) {
    cr_assert_eq(wait_for(id), WP_ERR_DATA);
    cr_assert(strstr(w.error.text, part), "%s", w.error.text);
}

Test(registry, an_id_is_looked_up_once_however_often_it_is_met) {
    open_world(
        (struct http_answer[]){
            {.request = "GET /schemas/ids/7", .status = 200, .body = SCHEMA, .delay_ms = 100}, {0}},
        NULL, NULL);
    for (int i = 0; i < 100; i++) cr_assert_eq(decode(7), WP_ERR_AGAIN);
    cr_assert(wp_registry_is_asking(w.registry));
    cr_assert_eq(wait_for(7), WP_OK, "%s", w.error.text);
    cr_assert(wp_str_is(w.event.acquire.philosophy, "react"));
    cr_assert_eq(http_script_count(w.server, "GET /schemas/ids/7"), 1);
    cr_assert_not(wp_registry_is_asking(w.registry));
    cr_assert_eq(w.stats.registry_schemas, 1);
    close_world();
}

Test(registry, an_unknown_id_is_refused_at_once_with_the_registrys_words) {
    open_world((struct http_answer[]){{.request = "GET", .status = 404, .body = UNKNOWN}, {0}}, NULL, NULL);
    expect_dead(7, "the schema with the id 7 is unknown: the schema registry at http://127.0.0.1:");
    cr_assert(strstr(w.error.text, "answered 404: Schema not found"), "%s", w.error.text);
    expect_dead(7, "is unknown");
    cr_assert_eq(http_script_count(w.server, "GET"), 1, "it is remembered");
    cr_assert_eq(w.stats.registry_refused, 1);
    close_world();
}

Test(registry, after_so_many_useless_answers_an_id_is_given_up) {
    static const char *const settings[] = {"wire.registry.max_tries", "3", NULL};
    open_world(
        (struct http_answer[]){{.request = "GET /schemas/ids/1", .status = 500, .body = BROKEN},
                               {.request = "GET /schemas/ids/2", .status = 200, .body = "<html>hello</html>"},
                               {.request = "GET /schemas/ids/3", .status = 200, .body = "{\"id\": 3}"},
                               {0}},
        NULL, settings);
    expect_dead(1, "could not be read in 3 tries: the schema registry at ");
    cr_assert(strstr(w.error.text, "answered 500: Error in the backend data store"), "%s", w.error.text);
    expect_dead(2, "answered 200: <html>hello</html>, which is no JSON");
    expect_dead(3, "answered without a schema");
    cr_assert_eq(http_script_count(w.server, "GET /schemas/ids/1"), 3);
    close_world();
}

Test(registry, an_error_that_passes_is_waited_for) {
    open_world((struct http_answer[]){{.request = "GET", .status = 500, .body = BROKEN, .times = 2},
                                      {.request = "GET", .status = 200, .body = SCHEMA},
                                      {0}},
               NULL, NULL);
    cr_assert_eq(wait_for(7), WP_OK, "%s", w.error.text);
    cr_assert_eq(http_script_count(w.server, "GET"), 3);
    cr_assert_eq(w.stats.registry_failures, 2);
    close_world();
}

/* Waits until the registry is said to be away because of `part`; the id is still looked up. */
static void expect_away(uint8_t id, const char *part) {
    while (!*w.stats.registry_away) {
        cr_assert_eq(decode(id), WP_ERR_AGAIN, "%s", w.error.text);
        loop_turn(&w.loop);
    }
    cr_assert(strstr(w.stats.registry_away, part), "%s", w.stats.registry_away);
    cr_assert_eq(decode(id), WP_ERR_AGAIN);
}

Test(registry, one_that_is_away_is_waited_for_and_said_to_be) {
    static const struct http_answer answers[] = {{.request = "GET", .status = 200, .body = SCHEMA}, {0}};
    int port = 0;
    struct http_script *gone = http_script_start_tcp(&port, answers); /* a port where nobody listens */
    http_script_stop(gone);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    open_world(NULL, url, NULL);
    expect_away(7, "does not answer: Failed to connect to 127.0.0.1");
    w.server = http_script_start_tcp(&port, answers);
    cr_assert_eq(wait_for(7), WP_OK, "%s", w.error.text);
    cr_assert_str_eq(w.stats.registry_away, "");
    close_world();
}

Test(registry, who_is_not_let_in_waits_too_and_says_what_to_mend) {
    open_world(
        (struct http_answer[]){
            {.request = "GET", .status = 401, .body = "{\"error_code\": 401, \"message\": \"Unauthorized\"}"},
            {0}},
        NULL, NULL);
    expect_away(7, "answered 401: Unauthorized; mend wire.registry.user and password, or token");
    close_world();
}

Test(registry, a_redirect_is_not_followed) {
    open_world((struct http_answer[]){{.request = "GET", .status = 302}, {0}}, NULL, NULL);
    expect_away(7, "redirects are not followed");
    close_world();
}

Test(registry, a_server_that_is_no_registry_refuses_no_message) {
    open_world((struct http_answer[]){{.request = "GET", .status = 404, .body = "Not Found"}, {0}}, NULL,
               NULL);
    expect_away(7, "that is no answer of a schema registry: is its path missing in wire.registry.url?");
    close_world();
}

Test(registry, a_registry_below_another_path_refuses_no_message) {
    open_world((struct http_answer[]){{.request = "GET",
                                       .status = 404,
                                       .body = "{\"error_code\": 404, \"message\": \"HTTP 404 Not Found\"}"},
                                      {0}},
               NULL, NULL);
    expect_away(7, "answered 404: HTTP 404 Not Found; that is no answer of a schema registry");
    close_world();
}

Test(registry, what_is_waited_for_is_bounded_when_that_is_wished) {
    static const char *const settings[] = {"wire.registry.max_wait_ms", "300", "wire.registry.timeout_ms",
                                           "50", NULL};
    open_world(
        (struct http_answer[]){{.request = "GET", .status = 200, .body = SCHEMA, .delay_ms = 1000}, {0}},
        NULL, settings);
    expect_dead(7, " ms: the schema registry at ");
    cr_assert(strstr(w.error.text, "does not answer: "), "%s", w.error.text);
    close_world();
}

Test(registry, several_are_tried_in_turn) {
    char urls[160];
    int away = 0;
    struct http_script *gone = http_script_start_tcp(&away, (struct http_answer[]){{0}});
    http_script_stop(gone);
    int busy_port = 0, port = 0;
    struct http_script *busy =
        http_script_start_tcp(&busy_port, (struct http_answer[]){{.request = "GET", .status = 503}, {0}});
    struct http_script *good = http_script_start_tcp(
        &port, (struct http_answer[]){{.request = "GET", .status = 200, .body = SCHEMA}, {0}});
    snprintf(urls, sizeof urls, "http://127.0.0.1:%d, http://user:secret@127.0.0.1:%d/,http://127.0.0.1:%d",
             away, busy_port, port);
    open_world(NULL, urls, NULL);
    cr_assert_eq(wait_for(7), WP_OK, "%s", w.error.text);
    cr_assert_eq(wait_for(8), WP_OK, "%s", w.error.text);
    cr_assert_eq(http_script_count(busy, "GET"), 1, "the one that answered last is asked first");
    http_script_stop(good);
    expect_away(9, "answered 503"); /* the last that was asked */
    cr_assert_not(strstr(w.stats.registry_away, "secret"));
    close_world();
    http_script_stop(busy);
}

Test(registry, types_that_are_not_read_are_refused_with_the_way_out) {
    open_world(
        (struct http_answer[]){
            {.request = "GET /schemas/ids/1",
             .status = 200,
             .body = "{\"schemaType\": \"PROTOBUF\", \"schema\": \"syntax\"}"},
            {.request = "GET /schemas/ids/2",
             .status = 200,
             .body = "{\"schema\": \"{}\", \"references\": [{\"name\": \"x\"}]}"},
            {.request = "GET /schemas/ids/3", .status = 200, .body = "{\"schema\": \"\\\"string\\\"\"}"},
            {.request = "GET /schemas/ids/4",
             .status = 200,
             .body = "{\"schemaType\": \"JSON\", \"schema\": \"{}\"}"},
            {0}},
        NULL, NULL);
    expect_dead(1, "is of the type PROTOBUF, which is not read here: write Avro or JSON Schema");
    expect_dead(2, "refers to other schemas, which is not supported: register it with all its types inside");
    expect_dead(3, "cannot be used: schema id 3 must be a record, not string");
    expect_dead(4, "the JSON"); /* bytes of Avro are none */
    close_world();
}

Test(registry, a_flood_of_unknown_ids_is_one_request_each_and_bounded) {
    static const char *const settings[] = {"wire.registry.max_schemas", "16", NULL};
    open_world((struct http_answer[]){{.request = "GET", .status = 200, .body = SCHEMA}, {0}}, NULL,
               settings);
    for (unsigned id = 1; id < 256; id++) {
        enum wp_err err = wait_for((uint8_t)id);
        cr_assert_eq(err, id <= 16 ? WP_OK : WP_ERR_DATA, "%u: %s", id, w.error.text);
        if (id > 16) cr_assert(strstr(w.error.text, "raise wire.registry.max_schemas"), "%s", w.error.text);
    }
    cr_assert_eq(w.stats.registry_schemas, 16);
    cr_assert_eq(http_script_count(w.server, "GET"), 255);
    cr_assert_eq(wait_for(1), WP_OK, "those that are in use stay");
    close_world();
}

Test(registry, at_most_eight_requests_are_under_way) {
    open_world(
        (struct http_answer[]){{.request = "GET", .status = 200, .body = SCHEMA, .delay_ms = 200}, {0}}, NULL,
        NULL);
    for (unsigned id = 1; id <= 100; id++) cr_assert_eq(decode((uint8_t)id), WP_ERR_AGAIN);
    while (http_script_count(w.server, "GET") < 8) loop_turn(&w.loop);
    cr_assert_leq(http_script_count(w.server, "GET"), 8);
    for (unsigned id = 1; id <= 100; id++) cr_assert_eq(wait_for((uint8_t)id), WP_OK, "%s", w.error.text);
    close_world();
}

Test(registry, it_is_freed_with_requests_under_way) {
    open_world(
        (struct http_answer[]){{.request = "GET", .status = 200, .body = SCHEMA, .delay_ms = 300}, {0}}, NULL,
        NULL);
    cr_assert_eq(decode(7), WP_ERR_AGAIN);
    while (http_script_count(w.server, "GET") < 1) loop_turn(&w.loop);
    close_world();
}

/* ---- ids to write with ---- */

static void on_ready(void *ctx) {
    ((struct world *)ctx)->ready = true;
}
static void on_refused(void *ctx, const char *why) {
    struct world *world = ctx;
    snprintf(world->refused, sizeof world->refused, "%s", why);
}
static const struct wp_registry_handler handler = {.ready = on_ready, .refused = on_refused};
enum { TOPICS = 1 << WP_TOPIC_ASSIGNMENT | 1 << WP_TOPIC_EVENT };

static void find_ids(void) {
    wp_registry_find_write_ids(w.registry, TOPICS, &handler, &w);
    while (!w.ready && !*w.refused) loop_turn(&w.loop);
}

static const char *const writes[] = {"wire.write", "confluent", NULL};
static const char *const registers[] = {
    "wire.write", "confluent", "wire.registry.register", "true", "topics.prefix", "a.", NULL};

Test(registry, ids_to_write_with_are_looked_up) {
    open_world((struct http_answer[]){{.request = "POST /subjects/container-assignment-value/",
                                       .status = 500}, /* registers nothing */
                                      {.request = "POST /subjects/container-assignment-value",
                                       .status = 200,
                                       .body = "{\"id\": 41, \"version\": 1}"},
                                      {.request = "POST /subjects/container-event-value",
                                       .status = 200,
                                       .body = "{\"id\": 42, \"version\": 1}"},
                                      {0}},
               NULL, writes);
    cr_assert_not(wp_wire_can_write(w.wire, WP_TOPIC_EVENT));
    find_ids();
    cr_assert(w.ready, "%s", w.refused);
    cr_assert(wp_wire_can_write(w.wire, WP_TOPIC_EVENT) && wp_wire_can_write(w.wire, WP_TOPIC_ASSIGNMENT));
    cr_assert_not(wp_wire_can_write(w.wire, WP_TOPIC_METRICS));
    close_world();
}

Test(registry, they_are_registered_where_that_is_allowed_and_waited_for) {
    open_world((struct http_answer[]){{.request = "POST /subjects/a.container", .status = 503, .times = 3},
                                      {.request = "POST /subjects/a.container-assignment-value/versions",
                                       .status = 200,
                                       .body = "{\"id\": 1}"},
                                      {.request = "POST /subjects/a.container-event-value/versions",
                                       .status = 200,
                                       .body = "{\"id\": 2}"},
                                      {0}},
               NULL, registers);
    wp_registry_find_write_ids(w.registry, TOPICS, &handler, &w);
    while (http_script_count(w.server, "POST") < 2) loop_turn(&w.loop);
    cr_assert(*w.stats.registry_not_ready);
    while (!w.ready && !*w.refused) loop_turn(&w.loop);
    cr_assert(w.ready, "%s", w.refused);
    cr_assert_str_eq(w.stats.registry_not_ready, "");
    close_world();
}

Test(registry, a_subject_without_the_schema_says_how_to_put_it_there) {
    open_world((struct http_answer[]){{.request = "POST", .status = 404, .body = UNKNOWN}, {0}}, NULL,
               writes);
    find_ids();
    cr_assert(strstr(w.refused, ".avsc is not usable under the subject container-"), "%s", w.refused);
    cr_assert(strstr(w.refused, "set wire.registry.register = true, or register it by hand"), "%s",
              w.refused);
    close_world();
}

Test(registry, an_incompatible_schema_is_final) {
    open_world((struct http_answer[]){{.request = "POST",
                                       .status = 409,
                                       .body = "{\"error_code\": 409, \"message\": \"Incompatible\"}"},
                                      {0}},
               NULL, registers);
    find_ids();
    cr_assert(strstr(w.refused, "answered 409: Incompatible; it must be compatible with what is there"), "%s",
              w.refused);
    close_world();
}

Test(registry, subjects_are_named_by_the_chosen_strategy) {
    static const char *const by_record[] = {"wire.write", "confluent", "wire.registry.subject", "record",
                                            NULL};
    static const char *const by_both[] = {"wire.write", "confluent", "wire.registry.subject", "topic_record",
                                          NULL};
    const struct http_answer answers[] = {{.request = "POST", .status = 200, .body = "{\"id\": 5}"}, {0}};
    open_world(answers, NULL, by_record);
    find_ids();
    cr_assert_eq(http_script_count(w.server, "POST /subjects/warmpool.ContainerAssignment"), 1);
    close_world();
    open_world(answers, NULL, by_both);
    find_ids();
    cr_assert_eq(
        http_script_count(w.server, "POST /subjects/container-assignment-warmpool.ContainerAssignment"), 1);
    close_world();
}

Test(registry, without_confluent_as_the_format_to_write_nothing_is_asked) {
    open_world((struct http_answer[]){{0}}, NULL, NULL);
    find_ids();
    cr_assert(w.ready);
    cr_assert_eq(http_script_count(w.server, "POST"), 0);
    close_world();
}
