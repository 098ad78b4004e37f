/* Starts and stops a real Kafka through the script. The process that starts it owns it. */
#include "support/kafka_server.h"
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "support/process.h"

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "kafka_server: %s\n", what);
    exit(1);
}

/* The script's first output line goes to `line` when there is one to fill. */
static void run_script(const char *verb, const char *dir, char *line, size_t size) {
    char command[512];
    snprintf(command, sizeof(command), "KAFKA_FOLLOW=%ld exec '%s/tests/support/kafka/kafka' %s '%s'",
             (long)getpid(), SOURCE_DIR, verb, dir);
    FILE *out = popen(command, "r");
    if (!out) give_up("no process for the script");
    char first[64] = "";
    bool got = fgets(first, sizeof(first), out) != NULL;
    int status = pclose(out);
    if (status != 0) give_up("the script failed, its sentence is above");
    if (!line) return;
    first[strcspn(first, "\n")] = '\0';
    if (!got || !*first) give_up("the script printed no address");
    snprintf(line, size, "%s", first);
}

static pid_t pid_of(const struct kafka_server *server) {
    char path[96];
    snprintf(path, sizeof(path), "%s/pid", server->dir);
    FILE *file = fopen(path, "r");
    long pid = 0;
    if (!file || fscanf(file, "%ld", &pid) != 1 || pid <= 1) give_up("the node has no pid file");
    fclose(file);
    return (pid_t)pid;
}

void kafka_server_start(struct kafka_server *server) {
    snprintf(server->dir, sizeof(server->dir), "/tmp/warmpool-kafka-XXXXXX");
    if (!mkdtemp(server->dir)) give_up("no folder in /tmp");
    run_script("start", server->dir, server->bootstrap, sizeof(server->bootstrap));
}

void kafka_server_kill(struct kafka_server *server) {
    pid_t pid = pid_of(server);
    kill(pid, SIGKILL);
    run_script("stop", server->dir, NULL, 0); /* nothing left to stop: waits until the process is gone */
}

void kafka_server_restart(struct kafka_server *server) {
    run_script("start", server->dir, server->bootstrap, sizeof(server->bootstrap));
}

void kafka_server_pause(struct kafka_server *server) {
    process_pause(pid_of(server));
}

void kafka_server_resume(struct kafka_server *server) {
    kill(pid_of(server), SIGCONT);
}

void kafka_server_stop(struct kafka_server *server) {
    run_script("stop", server->dir, NULL, 0);
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", server->dir);
    if (system(command) != 0) give_up("the node's folder stays behind");
}
