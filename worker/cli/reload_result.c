/* Writes and prints the result of a reload: see reload_result.h. No state. */
#include "cli/reload_result.h"
#include <string.h>
#include "core/buf.h"

char *wp_reload_result_json(const struct wp_reload_result *result) {
    json_t *changes = json_array();
    for (size_t i = 0; i < result->changes->count; i++) {
        const struct wp_config_change *change = &result->changes->list[i];
        json_array_append_new(changes, json_pack("{s:s, s:s?, s:s?, s:s}", "key", change->key, "before",
                                                 change->before, "after", change->after, "applies",
                                                 wp_applies_word(change->applies)));
    }
    json_t *json = json_pack("{s:b, s:s?, s:o}", "ok", result->ok, "file", result->file, "changes", changes);
    wp_assert(json);
    if (!result->ok) json_object_set_new(json, "error", json_string(result->error));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static const char *text_of(const json_t *json, const char *key, const char *otherwise) {
    const char *text = json_string_value(json_object_get(json, key));
    return !text ? otherwise : *text ? text : "(empty)";
}

void wp_reload_result_print(const json_t *json, FILE *out) {
    size_t i, waiting = 0, count = json_array_size(json_object_get(json, "changes"));
    const json_t *change;
    json_array_foreach(json_object_get(json, "changes"), i, change) {
        const char *applies = text_of(change, "applies", "");
        bool waits = strcmp(applies, "restart") == 0;
        waiting += waits;
        fprintf(out, "%s: %s -> %s (%s)\n", text_of(change, "key", ""),
                text_of(change, "before", "(not set)"), text_of(change, "after", "(not set)"),
                waits ? "waits for a restart" : applies);
    }
    fprintf(out, "reloaded %s: %zu changed, %zu wait%s for a restart\n", text_of(json, "file", "(no file)"),
            count - waiting, waiting, waiting == 1 ? "s" : "");
}
