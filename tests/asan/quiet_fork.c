/* The sanitizer of GCC 12 has no fork handlers: a child that was forked while another thread of the test
 * runner (Criterion has three) was inside malloc waits for ever for that thread's lock. So a fork waits until
 * they sleep; what wakes them is the end of a test, a message of one, or a time limit. */
#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_US = 200, LOOKS = 2500 /* half a second: then it is tried all the same */ };

static bool sleeps(const char *thread) {
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", thread);
    FILE *file = fopen(path, "r");
    if (!file) return true; /* it has ended */
    if (!fgets(line, sizeof line, file)) line[0] = '\0';
    fclose(file);
    const char *after_name = strrchr(line, ')');
    return after_name && after_name[1] == ' ' && after_name[2] == 'S';
}

static bool all_others_sleep(void) {
    bool all = true;
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *entry; threads && (entry = readdir(threads));) {
        if (isdigit((unsigned char)entry->d_name[0]) && strtol(entry->d_name, NULL, 10) != gettid())
            all = all && sleeps(entry->d_name);
    }
    if (threads) closedir(threads);
    return all;
}

static void before_fork(void) {
    for (int i = 0; i < LOOKS && !all_others_sleep(); i++) usleep(PAUSE_US);
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(before_fork, NULL, NULL);
}
