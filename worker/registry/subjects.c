/* Finds the ids to write with: owns which of them are missing, and the timer of the next try. */
#include "registry/subjects.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/embedded.h"
#include "core/log.h"

enum { AGAIN_MS = 1000 };

struct question {
    struct subjects *subjects;
    enum wp_topic topic;
};

struct subjects {
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_wire *wire;
    struct registry_client *client;
    struct wp_registry_handler handler;
    void *ctx;
    uv_timer_t timer;
    unsigned wanted; /* bits of topics without an id */
    unsigned asking; /* requests under way */
    bool over;
    struct question questions[WP_TOPICS];
};

char *subject_name(const struct wp_config *config, const struct wp_wire *wire, enum wp_topic topic) {
    const char *record = wp_wire_record_name(wire, topic), *strategy = config->wire.registry.subject;
    if (strcmp(strategy, "record") == 0) return wp_strdup(record);
    char *name = wp_topic_full_name(config, topic);
    char *subject =
        strcmp(strategy, "topic") == 0 ? wp_format("%s-value", name) : wp_format("%s-%s", name, record);
    free(name);
    return subject;
}

static const struct wp_embedded *schema_file(enum wp_topic topic) {
    const struct wp_embedded *file = wp_embedded_schemas;
    char *name = wp_format("%s.avsc", wp_topics[topic].name);
    while (file->name && strcmp(file->name, name) != 0) file++;
    wp_assert(file->name);
    free(name);
    return file;
}

char *subject_body(enum wp_topic topic) {
    const struct wp_embedded *file = schema_file(topic);
    json_t *body = json_object();
    json_object_set_new(body, "schema", json_stringn(file->text, file->size));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    wp_assert(text);
    return text;
}

static void ask_all(struct subjects *subjects);

static void on_timer(uv_timer_t *timer) {
    ask_all(timer->data);
}

/* ---- answers ---- */

static void end_refused(struct subjects *subjects, enum wp_topic topic,
                        const struct registry_answer *answer) {
    const char *mend = answer->kind == REGISTRY_NOT_FOUND
                           ? "set wire.registry.register = true, or register it by hand"
                           : "it must be compatible with what is there: choose another topics.prefix or "
                             "wire.registry.subject, or change the subject's compatibility in the registry";
    char *subject = subject_name(subjects->config, subjects->wire, topic);
    char *why = wp_format("schemas/%s.avsc is not usable under the subject %s: %s; %s", wp_topics[topic].name,
                          subject, answer->said, mend);
    subjects->over = true;
    subjects->handler.refused(subjects->ctx, why);
    free(why);
    free(subject);
}

static bool is_id(const json_t *json) {
    return json_is_integer(json) && json_integer_value(json) >= 0 && json_integer_value(json) <= UINT32_MAX;
}

static void on_id(struct subjects *subjects, enum wp_topic topic, uint32_t id) {
    subjects->wanted &= ~(1u << topic);
    wp_wire_set_write_id(subjects->wire, topic, id);
    wp_log(WP_LOG_INFO, "schema_found", "topic=%s id=%u registered=%d", wp_topics[topic].name, id,
           subjects->config->wire.registry.add);
    if (subjects->wanted) return;
    subjects->over = true;
    subjects->stats->registry_not_ready[0] = '\0';
    subjects->handler.ready(subjects->ctx);
}

static void on_answer(void *ctx, const struct registry_answer *answer) {
    struct question *question = ctx;
    struct subjects *subjects = question->subjects;
    enum wp_topic topic = question->topic;
    bool registers = subjects->config->wire.registry.add;
    const json_t *id = answer->kind == REGISTRY_OK ? json_object_get(answer->json, "id") : NULL;
    subjects->asking--;
    if (subjects->over) return;
    if (is_id(id)) {
        on_id(subjects, topic, (uint32_t)json_integer_value(id));
    } else if (answer->kind == REGISTRY_CONFLICT || answer->kind == REGISTRY_INVALID ||
               (answer->kind == REGISTRY_NOT_FOUND && !registers)) {
        end_refused(subjects, topic, answer);
    } else {
        (void)snprintf(subjects->stats->registry_not_ready, sizeof subjects->stats->registry_not_ready,
                       "the id to write %s with is not known: %s", wp_topics[topic].name,
                       answer->kind == REGISTRY_OK ? "the schema registry answered without an id"
                                                   : answer->said);
    }
    if (!subjects->over && subjects->asking == 0) uv_timer_start(&subjects->timer, on_timer, AGAIN_MS, 0);
}

/* ---- questions ---- */

static void ask(struct subjects *subjects, enum wp_topic topic) {
    struct question *question = &subjects->questions[topic];
    char *subject = subject_name(subjects->config, subjects->wire, topic), *body = subject_body(topic);
    char *path = wp_format("/subjects/%s%s", subject, subjects->config->wire.registry.add ? "/versions" : "");
    *question = (struct question){subjects, topic};
    subjects->asking++;
    registry_client_call(subjects->client, path, body, on_answer, question);
    free(path);
    free(body);
    free(subject);
}

static void ask_all(struct subjects *subjects) {
    unsigned wanted = subjects->wanted;
    for (int topic = 0; topic < WP_TOPIC_DEAD_LETTER; topic++)
        if (wanted & 1u << topic) ask(subjects, (enum wp_topic)topic);
    if (wanted || subjects->over) return;
    subjects->over = true;
    subjects->handler.ready(subjects->ctx);
}

void subjects_find(struct subjects *subjects, unsigned topics, const struct wp_registry_handler *handler,
                   void *ctx) {
    subjects->handler = *handler;
    subjects->ctx = ctx;
    for (int topic = 0; topic < WP_TOPIC_DEAD_LETTER; topic++)
        if (topics & 1u << topic && !wp_wire_can_write(subjects->wire, (enum wp_topic)topic))
            subjects->wanted |= 1u << topic;
    if (subjects->wanted)
        (void)snprintf(subjects->stats->registry_not_ready, sizeof subjects->stats->registry_not_ready,
                       "the schema registry was not reached yet");
    uv_timer_start(&subjects->timer, on_timer, 0, 0);
}

/* ---- life ---- */

struct subjects *subjects_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                              struct wp_wire *wire, struct registry_client *client) {
    struct subjects *subjects = wp_calloc(1, sizeof *subjects);
    *subjects = (struct subjects){.config = config, .stats = stats, .wire = wire, .client = client};
    uv_timer_init(loop, &subjects->timer);
    subjects->timer.data = subjects;
    return subjects;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void subjects_free(struct subjects *subjects) {
    if (!subjects) return;
    subjects->over = true;
    uv_close((uv_handle_t *)&subjects->timer, on_closed);
}
