/* The table of the topics' structs, the ranges of their numbers, and which of their fields are absent. Any
 * thread. */
#include "wire/fields.h"
#include <inttypes.h>
#include "wire/events.h"

#define LIST(fields)                                                                                         \
    { fields, sizeof(fields) / sizeof((fields)[0]) }
#define FIELD(s, m, k)                                                                                       \
    { .name = #m, .kind = FIELD_##k, .at = offsetof(struct s, m) }
#define OPTIONAL(s, m, k)                                                                                    \
    { .name = #m, .kind = FIELD_##k, .optional = true, .at = offsetof(struct s, m) }
#define OPTIONAL_LONG(s, m, largest)                                                                         \
    { .name = #m, .kind = FIELD_LONG, .optional = true, .at = offsetof(struct s, m), .max = (largest) }
#define FIGURE(s, m)                                                                                         \
    {                                                                                                        \
        .name = #m, .kind = FIELD_DOUBLE, .optional = true, .at = offsetof(struct s, m),                     \
        .max = FIELD_MAX_FIGURE                                                                              \
    }
#define NAMESPACE(s, is_optional)                                                                            \
    { .name = "namespace", .kind = FIELD_STRING, .optional = (is_optional), .at = offsetof(struct s, ns) }
#define VALUE(s)                                                                                             \
    {                                                                                                        \
        .name = "value", .kind = FIELD_BYTES, .optional = true, .at = offsetof(struct s, value),             \
        .has_at = offsetof(struct s, has_value)                                                              \
    }
#define OPTIONAL_RECORD(s, m, f)                                                                             \
    {                                                                                                        \
        .name = #m, .kind = FIELD_RECORD, .optional = true, .at = offsetof(struct s, m), .record = &(f),     \
        .has_at = offsetof(struct s, has_##m)                                                                \
    }
#define RECORD(s, m, f)                                                                                      \
    { .name = #m, .kind = FIELD_RECORD, .at = offsetof(struct s, m), .record = &(f) }

static const struct field acquire_list[] = {
    FIELD(wp_acquire, request_id, STRING),
    FIELD(wp_acquire, agent_id, STRING),
    FIELD(wp_acquire, philosophy, STRING),
    OPTIONAL(wp_acquire, tenant, STRING),
    OPTIONAL_LONG(wp_acquire, timeout_ms, FIELD_MAX_TIMEOUT_MS),
    OPTIONAL_LONG(wp_acquire, lease_ms, FIELD_MAX_LEASE_MS),
    FIGURE(wp_acquire, cpu_percent),
    FIGURE(wp_acquire, memory_mb),
    OPTIONAL(wp_acquire, claim, MAP),
};

static const struct field release_list[] = {
    FIELD(wp_release, request_id, STRING),
    FIELD(wp_release, philosophy, STRING),
    OPTIONAL(wp_release, container_id, STRING),
    {.name = "reuse", .kind = FIELD_BOOL, .fallback = true, .at = offsetof(struct wp_release, reuse)},
};

static const struct field usage_list[] = {
    OPTIONAL(wp_usage, record_id, STRING), FIELD(wp_usage, agent_id, STRING),
    FIELD(wp_usage, philosophy, STRING),   FIGURE(wp_usage, cpu_percent),
    FIGURE(wp_usage, memory_usage_mb),     FIGURE(wp_usage, execution_time),
};

static const struct field cache_list[] = {
    FIELD(wp_cache_event, event_id, STRING),
    FIELD(wp_cache_event, op, STRING),
    NAMESPACE(wp_cache_event, true),
    OPTIONAL(wp_cache_event, key, STRING),
    VALUE(wp_cache_event),
    OPTIONAL_LONG(wp_cache_event, ttl_seconds, FIELD_MAX_TTL_SECONDS),
    OPTIONAL_LONG(wp_cache_event, count, FIELD_MAX_ENTRIES),
};

static const struct field control_list[] = {
    OPTIONAL(wp_control, control_id, STRING),
    FIELD(wp_control, philosophy, STRING),
    FIELD(wp_control, op, STRING),
    OPTIONAL_LONG(wp_control, count, FIELD_MAX_CONTAINERS),
};

static const struct field container_event_list[] = {
    FIELD(wp_container_event, container_id, STRING),
    FIELD(wp_container_event, philosophy, STRING),
    FIELD(wp_container_event, host, STRING),
    FIELD(wp_container_event, state, STRING),
    OPTIONAL(wp_container_event, detail, STRING),
    OPTIONAL(wp_container_event, address, STRING),
    OPTIONAL(wp_container_event, image, STRING),
    FIGURE(wp_container_event, queue_ms),
    FIGURE(wp_container_event, create_ms),
    FIGURE(wp_container_event, start_ms),
    FIGURE(wp_container_event, ready_ms),
};

static const struct field limits_list[] = {
    FIELD(wp_limits, cpu_percent, DOUBLE),
    FIELD(wp_limits, memory_mb, DOUBLE),
};
static const struct fields limits = LIST(limits_list);

static const struct field requirements_list[] = {
    FIELD(wp_requirements, cpu_percent, DOUBLE),
    FIELD(wp_requirements, memory_mb, DOUBLE),
    FIELD(wp_requirements, execution_time_seconds, DOUBLE),
};
static const struct fields requirements = LIST(requirements_list);

static const struct field startup_list[] = {
    FIELD(wp_startup, queue_ms, DOUBLE), FIELD(wp_startup, create_ms, DOUBLE),
    FIELD(wp_startup, start_ms, DOUBLE), FIELD(wp_startup, ready_ms, DOUBLE),
    FIELD(wp_startup, bind_ms, DOUBLE),  FIELD(wp_startup, publish_ms, DOUBLE),
};
static const struct fields startup = LIST(startup_list);

static const struct field assignment_list[] = {
    FIELD(wp_assignment, request_id, STRING),
    FIELD(wp_assignment, agent_id, STRING),
    FIELD(wp_assignment, philosophy, STRING),
    FIELD(wp_assignment, status, STRING),
    OPTIONAL(wp_assignment, container_id, STRING),
    OPTIONAL(wp_assignment, host, STRING),
    OPTIONAL(wp_assignment, address, STRING),
    FIELD(wp_assignment, warm_start, BOOL),
    FIELD(wp_assignment, startup_time_ms, DOUBLE),
    FIELD(wp_assignment, wait_ms, DOUBLE),
    FIELD(wp_assignment, lease_epoch, LONG),
    FIELD(wp_assignment, lease_expires_at, LONG),
    RECORD(wp_assignment, limits, limits),
    RECORD(wp_assignment, requirements, requirements),
    RECORD(wp_assignment, recommended, requirements),
    FIELD(wp_assignment, confidence, DOUBLE),
    FIELD(wp_assignment, basis, STRING),
    OPTIONAL(wp_assignment, reason, STRING),
    OPTIONAL(wp_assignment, retry_after_ms, LONG),
    OPTIONAL(wp_assignment, image, STRING),
    OPTIONAL(wp_assignment, tier, STRING),
    OPTIONAL_RECORD(wp_assignment, startup, startup),
};

static const struct field command_list[] = {
    FIELD(wp_command, command_id, STRING), FIELD(wp_command, host, STRING),
    FIELD(wp_command, op, STRING),         FIELD(wp_command, container_id, STRING),
    FIELD(wp_command, philosophy, STRING), RECORD(wp_command, limits, limits),
};

static const struct field result_list[] = {
    FIELD(wp_cache_result, event_id, STRING),
    FIELD(wp_cache_result, op, STRING),
    NAMESPACE(wp_cache_result, false),
    FIELD(wp_cache_result, key, STRING),
    FIELD(wp_cache_result, hit, BOOL),
    VALUE(wp_cache_result),
    OPTIONAL(wp_cache_result, ttl_seconds, LONG),
    OPTIONAL(wp_cache_result, reason, STRING),
    OPTIONAL(wp_cache_result, count, LONG),
};

static const struct field prediction_list[] = {
    FIELD(wp_prediction, philosophy, STRING),
    RECORD(wp_prediction, requirements, requirements),
    RECORD(wp_prediction, recommended, requirements),
    FIELD(wp_prediction, confidence, DOUBLE),
    FIELD(wp_prediction, samples, LONG),
    FIELD(wp_prediction, basis, STRING),
};

const struct fields topic_fields[WP_TOPICS] = {
    [WP_TOPIC_ACQUIRE] = LIST(acquire_list),       [WP_TOPIC_RELEASE] = LIST(release_list),
    [WP_TOPIC_USAGE] = LIST(usage_list),           [WP_TOPIC_CACHE] = LIST(cache_list),
    [WP_TOPIC_CONTROL] = LIST(control_list),       [WP_TOPIC_EVENT] = LIST(container_event_list),
    [WP_TOPIC_ASSIGNMENT] = LIST(assignment_list), [WP_TOPIC_COMMAND] = LIST(command_list),
    [WP_TOPIC_CACHE_RESULT] = LIST(result_list),   [WP_TOPIC_PREDICTION] = LIST(prediction_list),
};

static void clear(const struct field *field, void *event) {
    void *place = field_place(field, event);
    switch (field->kind) {
    case FIELD_BYTES:
        *(bool *)((char *)event + field->has_at) = false;
        *(struct wp_str *)place = (struct wp_str){NULL, 0};
        break;
    case FIELD_STRING:
    case FIELD_MAP:
        *(struct wp_str *)place = (struct wp_str){NULL, 0};
        break;
    case FIELD_LONG:
        *(int64_t *)place = field->optional ? WP_ABSENT : 0;
        break;
    case FIELD_DOUBLE:
        *(double *)place = field->optional ? (double)NAN : 0;
        break;
    case FIELD_BOOL:
        *(bool *)place = field->fallback;
        break;
    case FIELD_RECORD:
        if (field->optional) *(bool *)((char *)event + field->has_at) = false;
        fields_clear(field->record, place);
        break;
    }
}

void fields_clear(const struct fields *fields, void *event) {
    for (size_t i = 0; i < fields->count; i++) clear(&fields->list[i], event);
}

bool field_is_absent(const struct field *field, const void *event) {
    const void *value = field_value(field, event);
    if (!field->optional) return false;
    switch (field->kind) {
    case FIELD_BYTES:
    case FIELD_RECORD:
        return !*(const bool *)((const char *)event + field->has_at);
    case FIELD_STRING:
    case FIELD_MAP:
        return !((const struct wp_str *)value)->ptr;
    case FIELD_LONG:
        return *(const int64_t *)value == WP_ABSENT;
    case FIELD_DOUBLE:
        return isnan(*(const double *)value);
    default:
        return false;
    }
}

enum wp_err field_out_of_range(const struct field *field, const char *seen, struct wp_error *error) {
    return wp_fail(error, WP_ERR_DATA, "field %s must be 0 to %" PRId64 ", not %s", field->name, field->max,
                   seen);
}
