/* Logs the last lines of a container that ended by itself, but only those since its claims changed last, and
 * none that quotes its claim. Calls the client by table.c. */
#include "host/docker/output.h"
#include <stdlib.h>
#include <string.h>
#include "core/log.h"
#include "host/claims.h"
#include "host/docker/quotes.h"

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

/* ---- the lines ---- */

struct output { /* of a container, while its answer is read */
    const struct docker_container *container;
    struct wp_quotes *quotes; /* of its claim */
};

static void log_line(void *ctx, struct wp_str text) {
    const struct output *output = ctx;
    if (wp_quotes_in(output->quotes, text)) text = WP_STR("(a line with a value of its claim)");
    wp_log(WP_LOG_WARN, "container_output", "container=%s philosophy=%s line=%.*s", output->container->id,
           output->container->philosophy, (int)text.len, text.ptr);
}

static void after_logs(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    struct output output = {container, wp_quotes_new(container->claim)};
    if (answer->status == 200) wp_docker_output_lines(answer->body, log_line, &output);
    wp_quotes_free(output.quotes);
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

void wp_docker_output_configure(struct wp_runtime *runtime) {
    runtime->last_look = runtime->config->docker.log_lines > 0 ? look : NULL;
}
