/* Programs that the docker driver runs inside a container. */
#include "host/docker/exec.h"
#include <string.h>

static void after_exit(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    json_t *exec = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    const json_t *code = json_object_get(exec, "ExitCode");
    bool ended = json_is_integer(code) && json_is_false(json_object_get(exec, "Running"));
    int status = ended ? (int)json_integer_value(code) : -1;
    json_decref(exec);
    container->exec_over(container, status, ended ? "" : answer->error);
}

static void after_run(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status != 200)
        container->exec_over(container, -1, answer->error);
    else
        wp_docker_ask(container, "GET", wp_format("/exec/%s/json", container->exec), NULL, after_exit);
}

static void after_made(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    json_t *json = answer->status == 201 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    snprintf(container->exec, sizeof container->exec, "%s", wp_docker_text(json, "Id"));
    json_decref(json);
    if (!container->exec[0])
        container->exec_over(container, -1, answer->error);
    else /* not detached: the answer to this call ends when the program does */
        wp_docker_ask(container, "POST", wp_format("/exec/%s/start", container->exec), "{\"Detach\": false}",
                      after_run);
}

void wp_docker_exec(struct docker_container *container, const char *const argv[],
                    void (*over)(struct docker_container *container, int code, const char *why)) {
    json_t *body = json_pack("{s:b, s:b, s:[]}", "AttachStdout", true, "AttachStderr", true, "Cmd");
    for (size_t i = 0; argv[i]; i++)
        json_array_append_new(json_object_get(body, "Cmd"), json_string(argv[i]));
    char *text = json_dumps(body, 0);
    container->exec_over = over;
    wp_docker_ask(container, "POST", wp_format("/containers/%s/exec", container->id), text, after_made);
    free(text);
    json_decref(body);
}
