/* Logs the last lines of a container that ended by itself, but only those since its claims changed last, and
 * none that quotes its claim. Calls the client by table.c. */
#include "host/docker/output.h"
#include <stdlib.h>
#include <string.h>
#include "core/log.h"
#include "host/claims.h"

#define SECRET_LEAST 4 /* bytes of a claim's value; shorter ones are in every text */

void wp_docker_output_lines(struct wp_str answer, void (*line)(void *ctx, struct wp_str text), void *ctx) {
    while (answer.len > 8) {
        const unsigned char *head = (const unsigned char *)answer.ptr;
        size_t length = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
        struct wp_str frame = {answer.ptr + 8, length < answer.len - 8 ? length : answer.len - 8};
        answer = (struct wp_str){frame.ptr + frame.len, answer.len - 8 - frame.len};
        while (frame.len > 0) {
            const char *end = memchr(frame.ptr, '\n', frame.len);
            size_t count = end ? (size_t)(end - frame.ptr) : frame.len;
            if (count > 0) line(ctx, (struct wp_str){frame.ptr, count});
            count += end != NULL;
            frame = (struct wp_str){frame.ptr + count, frame.len - count};
        }
    }
}

/* ---- its claim ---- */

static bool quotes(struct wp_str text, const char *secret, size_t length) {
    return length >= SECRET_LEAST && memmem(text.ptr, text.len, secret, length) != NULL;
}

/* True when the text has one of the claim's values in it. */
static bool tells(const json_t *claim, struct wp_str text) {
    size_t i;
    const char *key;
    const json_t *value;
    if (json_is_string(claim)) return quotes(text, json_string_value(claim), json_string_length(claim));
    if (json_is_object(claim)) {
        json_object_foreach((json_t *)claim, key, value) if (tells(value, text)) return true;
    } else if (json_is_array(claim)) {
        json_array_foreach(claim, i, value) if (tells(value, text)) return true;
    } else if (json_is_number(claim)) {
        char *number = json_dumps(claim, JSON_ENCODE_ANY);
        bool told = quotes(text, number, strlen(number));
        free(number);
        return told;
    }
    return false;
}

/* ---- the lines ---- */

struct output { /* of a container, while its answer is read */
    const struct docker_container *container;
    const json_t *claim; /* NULL: it has none */
};

static void log_line(void *ctx, struct wp_str text) {
    const struct output *output = ctx;
    bool secret = output->claim && tells(output->claim, text);
    if (secret) text = WP_STR("(a line with a value of its claim)");
    wp_log(WP_LOG_WARN, "container_output", "container=%s philosophy=%s line=%.*s", output->container->id,
           output->container->philosophy, (int)text.len, text.ptr);
}

static void after_logs(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    struct output output = {container, container->claim};
    if (answer->status == 200) wp_docker_output_lines(answer->body, log_line, &output);
    json_decref(container->claim);
    container->claim = NULL;
    wp_docker_go_on(container);
}

/* Its lines from before its claims changed last are left out: an earlier claim may be in them. */
static void look(struct docker_container *container) {
    const struct wp_config *config = container->runtime->config;
    char *folder = wp_claims_folder(config->host.claims, config->host.name), *since = wp_strdup("0");
    if (*folder) {
        free(since);
        since = wp_claims_changed(folder, container->id);
        container->claim = wp_claims_read(folder, container->id);
    }
    free(folder);
    if (since)
        wp_docker_ask(container, "GET",
                      wp_format("/containers/%s/logs?stdout=1&stderr=1&tail=%lld&since=%s", container->id,
                                (long long)config->docker.log_lines, since),
                      NULL, after_logs);
    else
        wp_docker_go_on(container);
    free(since);
}

void wp_docker_output_open(struct wp_runtime *runtime) {
    if (runtime->config->docker.log_lines > 0) runtime->last_look = look;
}
