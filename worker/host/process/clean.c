/* See clean.h. Every process that a container has ever begun is below its shim, which adopts those that lose
 * their parent. */
#include "host/process/clean.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utarray.h>
#include "core/buf.h"

#define ROUNDS 50 /* of stopping those that others begin meanwhile */

static const UT_icd icd = {sizeof(struct wp_below), NULL, NULL, NULL};

/* False: it has gone, or only its number is left. */
static bool read_began(pid_t pid, uint64_t *ret) {
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *at = strrchr(text, ')'); /* its name may have any byte in it */
    char state;
    unsigned long long began;
    if (!at ||
        sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &state, &began) != 2)
        return false;
    *ret = began;
    return state != 'Z' && state != 'X';
}

static void add_children(UT_array *below, const char *path) {
    FILE *file = fopen(path, "re");
    int pid;
    while (file && fscanf(file, "%d", &pid) == 1) {
        struct wp_below child = {.pid = pid};
        if (read_began(pid, &child.began)) utarray_push_back(below, &child);
    }
    if (file) fclose(file);
}

/* Each thread has children of its own. */
static void add_children_of(UT_array *below, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, entry->d_name);
        if (entry->d_name[0] != '.') add_children(below, path);
    }
    if (dir) closedir(dir);
}

/* Owned by the caller. */
static UT_array *list_below(pid_t shim) {
    UT_array *below;
    utarray_new(below, &icd);
    add_children_of(below, shim);
    for (unsigned i = 0; i < utarray_len(below); i++)
        add_children_of(below, ((struct wp_below *)utarray_eltptr(below, i))->pid);
    return below;
}

void wp_kept_set(struct wp_kept *kept, pid_t shim) {
    wp_kept_done(kept);
    UT_array *below = list_below(shim);
    kept->count = utarray_len(below);
    kept->list = wp_calloc(kept->count + 1, sizeof *kept->list);
    for (size_t i = 0; i < kept->count; i++)
        kept->list[i] = *(struct wp_below *)utarray_eltptr(below, (unsigned)i);
    utarray_free(below);
}

void wp_kept_done(struct wp_kept *kept) {
    free(kept->list);
    *kept = (struct wp_kept){0};
}

static bool is_kept(const struct wp_kept *kept, const struct wp_below *process) {
    for (size_t i = 0; i < kept->count; i++)
        if (kept->list[i].pid == process->pid && kept->list[i].began == process->began) return true;
    return false;
}

static void signal_all(const UT_array *below, int number) {
    for (unsigned i = 0; i < utarray_len(below); i++)
        kill(((const struct wp_below *)utarray_eltptr(below, i))->pid, number);
}

static bool has_others(const struct wp_kept *kept, const UT_array *below) {
    for (unsigned i = 0; i < utarray_len(below); i++)
        if (!is_kept(kept, utarray_eltptr(below, i))) return true;
    return false;
}

/* Stops all, again while others are begun meanwhile. Owned by the caller. */
static UT_array *stop_all(pid_t shim) {
    UT_array *below = list_below(shim);
    for (int round = 0; round < ROUNDS; round++) {
        signal_all(below, SIGSTOP);
        UT_array *now = list_below(shim);
        bool same = utarray_len(now) == utarray_len(below);
        utarray_free(below);
        below = now;
        if (same) break;
    }
    return below;
}

void wp_kept_end_others(const struct wp_kept *kept, pid_t shim, struct wp_kept *ret_going) {
    wp_kept_done(ret_going);
    UT_array *below = list_below(shim);
    if (has_others(kept, below)) {
        utarray_free(below);
        below = stop_all(shim);
        ret_going->list = wp_calloc(utarray_len(below) + 1, sizeof *ret_going->list);
        for (unsigned i = 0; i < utarray_len(below); i++) {
            const struct wp_below *process = utarray_eltptr(below, i);
            bool stays = is_kept(kept, process);
            if (!stays) ret_going->list[ret_going->count++] = *process;
            kill(process->pid, stays ? SIGCONT : SIGKILL);
        }
    }
    utarray_free(below);
}

/* One that was missed has the shim for its parent by now; what stays may have begun others since. */
static bool has_missed(const struct wp_kept *kept, pid_t shim) {
    UT_array *children;
    utarray_new(children, &icd);
    add_children_of(children, shim);
    bool missed = has_others(kept, children);
    utarray_free(children);
    return missed;
}

bool wp_kept_are_gone(const struct wp_kept *kept, pid_t shim, const struct wp_kept *going, bool *ret_missed) {
    uint64_t began;
    for (size_t i = 0; i < going->count; i++)
        if (read_began(going->list[i].pid, &began) && began == going->list[i].began) return false;
    *ret_missed = has_missed(kept, shim);
    return !*ret_missed;
}
