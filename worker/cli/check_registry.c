/* Checks the schema registry: one request after another, on a loop of its own. */
#include "cli/check_registry.h"
#include <stdio.h>
#include <stdlib.h>
#include "registry/schemas.h"
#include "registry/client.h"
#include "registry/subjects.h"

struct probe {
    struct wp_check *check;
    struct wp_wire *wire;
    uv_loop_t loop;
    struct wp_stats stats;
    struct registry_client *client;
    bool answered; /* the answer to the latest request: */
    enum registry_kind kind;
    json_t *json;   /* owned */
    char said[512]; /* a clause */
    int there, registered_at_start;
};

static void on_answer(void *ctx, const struct registry_answer *answer) {
    struct probe *p = ctx;
    p->answered = true;
    p->kind = answer->kind;
    p->json = answer->json ? json_deep_copy(answer->json) : NULL;
    (void)snprintf(p->said, sizeof p->said, "%s", answer->said);
}

/* Asks `before`SUBJECT`after` and waits for the answer. */
static enum registry_kind ask(struct probe *p, const char *before, const char *subject, const char *after,
                              const char *body) {
    char *path = wp_format("%s%s%s", before, subject, after);
    json_decref(p->json);
    p->json = NULL;
    p->answered = false;
    registry_client_call(p->client, path, body, on_answer, p);
    while (!p->answered) uv_run(&p->loop, UV_RUN_ONCE);
    free(path);
    return p->kind;
}

/* ---- what is written ---- */

static const char *first_message(const struct probe *p) {
    const char *text = json_string_value(json_array_get(json_object_get(p->json, "messages"), 0));
    return text ? text : "the registry does not say why";
}

static void check_compatible(struct probe *p, enum wp_topic topic, const char *subject, const char *body) {
    enum registry_kind kind =
        ask(p, "/compatibility/subjects/", subject, "/versions/latest?verbose=true", body);
    if (kind == REGISTRY_OK && json_is_false(json_object_get(p->json, "is_compatible")))
        wp_check_say(
            p->check, WP_CHECK_FAILED, "registry",
            "schemas/%s.avsc is not compatible with what is under the subject %s: %.300s; choose another "
            "topics.prefix or wire.registry.subject, or change the subject's compatibility",
            wp_topics[topic].name, subject, first_message(p));
    else if (kind == REGISTRY_OK || kind == REGISTRY_NOT_FOUND) /* there is no such subject yet */
        p->registered_at_start++;
    else
        wp_check_say(p->check, WP_CHECK_FAILED, "registry", "%s: %s", subject, p->said);
}

static void check_written(struct probe *p, enum wp_topic topic) {
    const struct wp_config *config = p->check->config;
    char *subject = subject_name(config, p->wire, topic), *body = subject_body(topic);
    enum registry_kind kind = ask(p, "/subjects/", subject, "", body);
    if (kind == REGISTRY_OK)
        p->there++;
    else if (kind != REGISTRY_NOT_FOUND)
        wp_check_say(p->check, WP_CHECK_FAILED, "registry", "%s: %s", subject, p->said);
    else if (config->wire.registry.add)
        check_compatible(p, topic, subject, body);
    else
        wp_check_say(
            p->check, WP_CHECK_FAILED, "registry",
            "schemas/%s.avsc is not under the subject %s; set wire.registry.register = true, or register it "
            "by hand",
            wp_topics[topic].name, subject);
    free(subject);
    free(body);
}

static void check_all_written(struct probe *p) {
    unsigned topics = wp_schemas_of_worker();
    for (int topic = 0; topic < WP_TOPIC_DEAD_LETTER; topic++)
        if (topics & 1u << topic && !wp_wire_can_write(p->wire, (enum wp_topic)topic))
            check_written(p, (enum wp_topic)topic);
    if (p->there + p->registered_at_start > 0)
        wp_check_say(p->check, WP_CHECK_OK, "registry",
                     "of the schemas that workers write %d are there, %d will be registered", p->there,
                     p->registered_at_start);
}

/* ---- what is read ---- */

static bool is_avro(const json_t *json) {
    return !json_object_get(json, "schemaType") ||
           strcmp(json_string_value(json_object_get(json, "schemaType")), "AVRO") == 0;
}

/* The latest schema of the topic's subject is what its writers have most likely. */
static void check_read(struct probe *p, enum wp_topic topic) {
    char *subject = subject_name(p->check->config, p->wire, topic);
    const char *text = NULL;
    struct wp_error error;
    if (ask(p, "/subjects/", subject, "/versions/latest", NULL) == REGISTRY_OK)
        text = json_string_value(json_object_get(p->json, "schema"));
    if (text && is_avro(p->json) && wp_wire_check_schema(p->wire, topic, wp_str(text), &error))
        wp_check_say(p->check, WP_CHECK_ADVICE, "registry",
                     "messages with the latest schema of the subject %s would go to dead-letter: %s", subject,
                     error.text);
    free(subject);
}

void wp_check_registry(struct wp_check *check, struct wp_wire *wire) {
    struct probe p = {.check = check, .wire = wire};
    if (!check->config->wire.registry.url[0] || uv_loop_init(&p.loop)) return;
    p.client = registry_client_new(&p.loop, check->config, &p.stats);
    if (ask(&p, "/schemas/types", "", "", NULL) != REGISTRY_OK) {
        wp_check_say(check, WP_CHECK_FAILED, "registry", "%s", p.said);
    } else {
        wp_check_say(check, WP_CHECK_OK, "registry", "the schema registry answers");
        if (check->config->wire.write == WP_WIRE_CONFLUENT) check_all_written(&p);
        for (int topic = 0; topic < WP_TOPICS_IN; topic++) check_read(&p, (enum wp_topic)topic);
    }
    json_decref(p.json);
    registry_client_free(p.client);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    uv_loop_close(&p.loop);
}
