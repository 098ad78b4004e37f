/* Knows a process by its number and the time of its start. Reads /proc, which shows the container's processes
 * alone, those of its users' sessions and of `docker exec` included. */
#include "init/processes.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "init/protocol.h"

#define KEPT_MAX 4096
/* The dead children of those that stay and do not collect them: they hold a process number each. */
#define DEAD_MAX 16
#define GENTLE_MS 20
#define GOING_MAX 1024

struct process {
    pid_t pid;
    unsigned long long began;
    bool dead; /* all its threads have ended */
};

struct others { /* the processes that do not stay */
    int alive, dead;
    pid_t refuses; /* one that this user may not end; 0: none */
};

static struct process kept[KEPT_MAX], going[GOING_MAX];
static size_t kept_count, going_count;

int64_t wp_init_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: it has gone. */
static bool read_process(const char *number, struct process *ret) {
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) return false;
    text[got] = '\0';
    const char *at = strrchr(text, ')'); /* its name may have any byte in it */
    char state;
    int threads;
    unsigned long long began;
    /* From the 3rd field on: the state; the 20th: threads; the 22nd: when it began. */
    if (!at ||
        sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %d %*s %llu",
               &state, &threads, &began) != 3)
        return false;
    *ret = (struct process){(pid_t)strtol(number, NULL, 10), began,
                            (state == 'Z' || state == 'X') && threads < 2};
    return true;
}

/* Calls visit for each process but this one, until it says no. */
static bool each_process(bool (*visit)(void *ctx, const struct process *process), void *ctx, char *why) {
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    struct process process;
    bool good = dir != NULL;
    if (!dir) snprintf(why, WP_INIT_WHY, "/proc cannot be read: %s", strerror(errno));
    while (good && (errno = 0, entry = readdir(dir))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || strcmp(entry->d_name, "1") == 0) continue;
        errno = 0;
        if (read_process(entry->d_name, &process)) {
            good = visit(ctx, &process);
        } else if (errno != 0 && errno != ENOENT && errno != ESRCH) {
            snprintf(why, WP_INIT_WHY, "process %.20s cannot be seen: %s", entry->d_name, strerror(errno));
            good = false;
        }
    }
    if (dir) closedir(dir);
    return good;
}

/* ---- what stays ---- */

static bool keep(void *ctx, const struct process *process) {
    (void)ctx;
    if (kept_count == KEPT_MAX) return false; /* why says so already */
    kept[kept_count++] = *process;
    return true;
}

bool wp_init_keep_processes(char *why) {
    kept_count = 0;
    snprintf(why, WP_INIT_WHY, "it has more than %d processes", KEPT_MAX);
    return each_process(keep, NULL, why);
}

static bool is_kept(const struct process *process) {
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].pid == process->pid && kept[i].began == process->began) return true;
    return false;
}

/* ---- what goes ---- */

static bool look(void *ctx, const struct process *process) {
    struct others *others = ctx;
    if (is_kept(process)) return true;
    others->alive += !process->dead;
    others->dead += process->dead;
    return true;
}

/* Kills it and notes it among those that go; false when there is no room for more. */
static bool end_one(void *ctx, const struct process *process) {
    struct others *others = ctx;
    if (is_kept(process)) return true;
    if (going_count == GOING_MAX) return false;
    going[going_count++] = *process;
    if (kill(process->pid, SIGKILL) != 0 && errno == EPERM && !process->dead) others->refuses = process->pid;
    return true;
}

static bool count_others(struct others *others, char *why) {
    *others = (struct others){0};
    return each_process(look, others, why);
}

static bool are_gone(void) {
    char number[24];
    struct process now;
    for (size_t i = 0; i < going_count; i++) {
        snprintf(number, sizeof number, "%d", (int)going[i].pid);
        if (read_process(number, &now) && now.began == going[i].began && !now.dead) return false;
    }
    return true;
}

static bool wait_until_gone(int64_t until_ms, void (*reap)(void)) {
    for (;;) {
        reap();
        if (are_gone()) return true;
        if (wp_init_now_ms() >= until_ms) return false;
        struct timespec a_bit = {.tv_nsec = 500000};
        nanosleep(&a_bit, NULL);
    }
}

/* A user may have stopped what stays. */
static void let_go_on(void) {
    for (size_t i = 0; i < kept_count; i++) kill(kept[i].pid, SIGCONT);
}

/* Ends those that are there now. all_stand: everything is stopped meanwhile in one step, in which none can
 * fork, so that none is missed; those that stay go on afterwards. */
static bool end_others(bool all_stand, int64_t until_ms, void (*reap)(void), char *why) {
    struct others others = {0};
    do {
        going_count = 0;
        *why = '\0';
        if (all_stand) kill(-1, SIGSTOP);
        bool seen = each_process(end_one, &others, why);
        if (all_stand) let_go_on();
        if (!seen && *why) return false;
        if (others.refuses) {
            snprintf(why, WP_INIT_WHY, "process %d belongs to another user, who alone may end it",
                     (int)others.refuses);
            return false;
        }
        if (!wait_until_gone(until_ms, reap)) {
            snprintf(why, WP_INIT_WHY, "processes do not end when they are killed");
            return !all_stand;
        }
    } while (going_count == GOING_MAX);
    return true;
}

/* At first those that stay are left alone. What comes after all stood still is begun by what stays. */
bool wp_init_end_processes(int64_t until_ms, void (*reap)(void), char *why) {
    struct others others;
    reap();
    if (!count_others(&others, why)) return false;
    if (others.alive > 0 && !end_others(false, wp_init_now_ms() + GENTLE_MS, reap, why)) return false;
    if (!count_others(&others, why)) return false;
    if (others.alive > 0 && !end_others(true, until_ms, reap, why)) return false;
    if (!count_others(&others, why)) return false;
    let_go_on();
    if (others.dead <= DEAD_MAX) return true;
    snprintf(why, WP_INIT_WHY, "%d ended processes are not collected by the program that began them",
             others.dead);
    return false;
}
