/* Packs rows of recover: see recover_calls.h. Any thread. */
#include "pool/recover_calls.h"
#include "pool/pool_calls.h"

static struct wp_str text_of(const json_t *record, const char *name) {
    const char *text = json_string_value(json_object_get(record, name));
    return wp_str(text ? text : "");
}

static double number_of(const json_t *record, const char *name) {
    return json_number_value(json_object_get(record, name));
}

static void pack_figures(struct wp_buf *out, const json_t *requirements) {
    wp_pack_array(out, 3);
    wp_pack_double(out, number_of(requirements, "cpu_percent"));
    wp_pack_double(out, number_of(requirements, "memory_mb"));
    wp_pack_double(out, number_of(requirements, "execution_time_seconds"));
}

/* One string of packed values, as an assignment has it: Redis copies it into answers unread. */
static void pack_prediction(struct wp_buf *out, const json_t *assignment) {
    size_t prediction = wp_pack_open(out);
    wp_pack_array(out, 6);
    wp_pack_str(out, text_of(assignment, "philosophy"));
    pack_figures(out, json_object_get(assignment, "requirements"));
    pack_figures(out, json_object_get(assignment, "recommended"));
    wp_pack_double(out, number_of(assignment, "confidence"));
    wp_pack_int(out, 0); /* samples: not part of an assignment */
    wp_pack_str(out, text_of(assignment, "basis"));
    wp_pack_close(out, prediction);
}

void wp_pack_lease(struct wp_buf *out, const json_t *assignment, struct wp_str key, struct wp_str tenant) {
    static const char *const names[] = {"request_id",   "agent_id", "philosophy",
                                        "container_id", "host",     "address"};
    const json_t *limits = json_object_get(assignment, "limits");
    wp_pack_array(out, 19);
    wp_pack_str(out, WP_STR("l"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        wp_pack_str(out, text_of(assignment, names[i]));
    wp_pack_double(out, number_of(limits, "cpu_percent"));
    wp_pack_double(out, number_of(limits, "memory_mb"));
    wp_pack_str(out, text_of(assignment, "image"));
    wp_pack_str(out, key);
    wp_pack_bool(out, json_is_true(json_object_get(assignment, "warm_start")));
    wp_pack_int(out, (int64_t)(number_of(assignment, "startup_time_ms") * 1000));
    wp_pack_int(out, (int64_t)(number_of(assignment, "wait_ms") * 1000));
    wp_pack_int(out, json_integer_value(json_object_get(assignment, "lease_epoch")));
    wp_pack_int(out, json_integer_value(json_object_get(assignment, "lease_expires_at")));
    pack_prediction(out, assignment);
    wp_pack_str(out, text_of(assignment, "tier"));
    wp_pack_str(out, tenant);
}

void wp_pack_waiting(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *acquire) {
    wp_pack_array(out, 2);
    wp_pack_str(out, WP_STR("w"));
    wp_pack_acquire(out, meta, acquire, NULL);
}

void wp_pack_ended(struct wp_buf *out, struct wp_str request_id) {
    wp_pack_array(out, 2);
    wp_pack_str(out, WP_STR("e"));
    wp_pack_str(out, request_id);
}
