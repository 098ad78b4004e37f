/* Stops a process and looks at its threads in /proc. */
#include "support/process.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "support/limits.h"

static char state_of(pid_t pid, const char *thread) {
    char path[320], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, thread);
    FILE *file = fopen(path, "r");
    if (!file) return 'X'; /* it has just ended */
    bool got = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *name_end = strrchr(line, ')');
    return got && name_end ? name_end[2] : 'X';
}

static bool stands_still(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads) return true;
    bool still = true;
    for (struct dirent *entry; (entry = readdir(threads));)
        if (entry->d_name[0] != '.') still = still && strchr("TXZ", state_of(pid, entry->d_name));
    closedir(threads);
    return still;
}

void process_pause(pid_t pid) {
    int64_t end = wp_clock_us() + WAIT_LIMIT_S * INT64_C(1000000);
    kill(pid, SIGSTOP);
    while (!stands_still(pid)) {
        cr_assert(wp_clock_us() < end, "process %d does not stop", (int)pid);
        usleep(1000);
    }
}

/* Also true for a zombie: the orphan of a killed worker is reaped by whoever is init here, when it likes. */
bool process_is_dead(pid_t pid) {
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file) return true;
    bool got = fgets(line, sizeof line, file);
    fclose(file);
    const char *state = strrchr(line, ')');
    return !got || !state || state[2] == 'Z' || state[2] == 'X';
}

void process_wait_dead(pid_t pid) {
    for (int64_t end = wp_clock_us() + WAIT_LIMIT_S * INT64_C(1000000);
         !process_is_dead(pid) && wp_clock_us() < end;)
        usleep(2000);
    cr_assert(process_is_dead(pid), "process %d lives on", (int)pid);
}
