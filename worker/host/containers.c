/* Owns the table of containers of this host: see containers.h. The loop's thread. */
#include "host/containers.h"
#include <stdlib.h>
#include "core/buf.h"
#include "core/log.h"
#include "host/claims.h"

struct held *wp_held_find(struct held_table *table, struct wp_str id) {
    struct held *held;
    HASH_FIND(hh, table->list, id.ptr, id.len, held);
    return held;
}

struct held *wp_held_add(struct held_table *table, struct wp_str id, enum held_state state) {
    struct held *held = wp_calloc(1, sizeof *held);
    held->id = wp_strndup(id);
    held->seen = true;
    HASH_ADD_KEYPTR(hh, table->list, held->id, id.len, held);
    wp_held_set(table, held, state);
    return held;
}

void wp_held_set(struct held_table *table, struct held *held, enum held_state state) {
    held->state = state;
    held->changed = ++table->changes;
}

void wp_held_over(struct held_table *table, struct held *held, enum wp_container_state over,
                  struct wp_str detail) {
    held->over = over;
    held->done = NULL;
    wp_claims_remove(table->claims, held->id);
    held->address[0] = '\0';
    snprintf(held->detail, sizeof held->detail, "%.*s", (int)detail.len, detail.ptr);
    wp_str_cut(held->detail); /* the engine's words, or a registry's, may be long: Redis takes UTF-8 alone */
    wp_held_set(table, held, HELD_OVER);
}

void wp_held_drop(struct held_table *table, struct held *held) {
    wp_start_spans_forget(&table->spans, wp_str(held->id));
    HASH_DEL(table->list, held);
    free(held->id);
    free(held);
}

void wp_held_destroy(struct held_table *table, struct held *held) {
    wp_held_set(table, held, HELD_ENDING);
    wp_claims_wipe(table->claims, held->id);
    table->driver->destroy(table->runtime, wp_str(held->id));
}

/* False: the producer does not take it now. */
static bool publish(struct held_table *table, const struct wp_container_event *event) {
    bool is_start = wp_str_is(event->state, "ready") || wp_str_is(event->state, "bound");
    struct wp_buf bytes = {0};
    struct wp_error error;
    wp_wire_encode(table->wire, WP_TOPIC_EVENT, event, &bytes);
    struct wp_record record = {.topic = WP_TOPIC_EVENT,
                               .key = event->container_id.len > 0 ? event->container_id : event->host,
                               .value = wp_buf_str(&bytes),
                               .trace = is_start ? wp_start_spans_header(&table->spans, event->container_id)
                                                 : WP_STR(""),
                               .partition = -1};
    bool taken = wp_producer_send(table->producer, &record, &error) == WP_OK;
    wp_buf_done(&bytes);
    return taken;
}

static const char *state_name(const struct held *held) {
    if (held->state != HELD_OVER) return held->done ? held->done : "ready";
    return held->over == WP_CONTAINER_FAILED ? "failed" : held->over == WP_CONTAINER_DIED ? "died" : "gone";
}

static struct wp_str optional(const char *text) {
    return *text ? wp_str(text) : (struct wp_str){0};
}

static struct wp_container_event event_of(const struct held_table *table, struct wp_str state) {
    return (struct wp_container_event){.container_id = WP_STR(""),
                                       .philosophy = WP_STR(""),
                                       .host = wp_str(table->config->host.name),
                                       .state = state,
                                       .queue_ms = NAN,
                                       .create_ms = NAN,
                                       .start_ms = NAN,
                                       .ready_ms = NAN};
}

static void add_facts(struct wp_container_event *event, const struct wp_container_facts *facts) {
    event->image = optional(facts->image);
    event->queue_ms = facts->queue_ms;
    event->create_ms = facts->create_ms;
    event->start_ms = facts->start_ms;
    event->ready_ms = facts->ready_ms;
}

void wp_held_publish(struct held_table *table, struct held *held) {
    wp_assert(held->state == HELD_READY || held->state == HELD_OVER);
    struct wp_container_event event = event_of(table, wp_str(state_name(held)));
    event.container_id = wp_str(held->id);
    event.philosophy = wp_str(held->philosophy);
    event.detail = optional(held->done ? held->number : held->detail);
    struct wp_container_facts facts;
    if (held->state == HELD_READY && !held->done) {
        event.address = optional(held->address);
        if (table->driver->facts(table->runtime, wp_str(held->id), &facts)) add_facts(&event, &facts);
    }
    held->unpublished = !publish(table, &event);
    if (!held->unpublished) held->done = NULL;
}

/* Publishes more about it; not again when the producer does not take it now. */
static void publish_also(struct held_table *table, const struct held *held, const char *state,
                         const char *detail) {
    struct wp_container_event event = event_of(table, wp_str(state));
    event.container_id = wp_str(held->id);
    event.philosophy = wp_str(held->philosophy);
    event.detail = wp_str(detail);
    (void)publish(table, &event);
}

void wp_held_publish_dying(struct held_table *table, const struct held *held) {
    publish_also(table, held, "died", "dying");
}

void wp_held_publish_outdated(struct held_table *table, struct held *held, const char *why) {
    if (!held->outdated)
        wp_log(WP_LOG_INFO, "container_outdated", "container=%s philosophy=%s reason=%s", held->id,
               held->philosophy, why);
    held->outdated = true;
    publish_also(table, held, "outdated", why);
}

bool wp_held_publish_host(struct held_table *table, const char *state, const char *detail) {
    struct wp_container_event event = event_of(table, wp_str(state));
    event.detail = wp_str(detail);
    return publish(table, &event);
}

void wp_held_publish_pending(struct held_table *table) {
    for (struct held *held = table->list; held; held = held->hh.next) {
        if (!held->unpublished) continue;
        held->unpublished = false; /* not when a step began meanwhile: its end is published instead */
        if (held->state == HELD_READY || held->state == HELD_OVER) wp_held_publish(table, held);
    }
}
