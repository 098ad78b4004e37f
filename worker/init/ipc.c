/* Reads /proc/sysvipc, which shows the container's own. A kernel without it has none. */
#include "init/ipc.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include "init/protocol.h"

#define KEPT_MAX 256 /* of a kind */

struct kind {
    const char *path;
    int (*remove)(int id);
    int kept[KEPT_MAX];
    int count;
};

static int remove_shm(int id) {
    return shmctl(id, IPC_RMID, NULL);
}
static int remove_msg(int id) {
    return msgctl(id, IPC_RMID, NULL);
}
static int remove_sem(int id) {
    return semctl(id, 0, IPC_RMID);
}

static struct kind kinds[] = {{.path = "/proc/sysvipc/shm", .remove = remove_shm},
                              {.path = "/proc/sysvipc/msg", .remove = remove_msg},
                              {.path = "/proc/sysvipc/sem", .remove = remove_sem}};

static bool keep(struct kind *kind, int id, char *why) {
    if (kind->count < KEPT_MAX) {
        kind->kept[kind->count++] = id;
        return true;
    }
    snprintf(why, WP_INIT_WHY, "%s has more than %d", kind->path, KEPT_MAX);
    return false;
}

static bool remove_other(struct kind *kind, int id, char *why) {
    for (int i = 0; i < kind->count; i++)
        if (kind->kept[i] == id) return true;
    if (kind->remove(id) == 0 || errno == EIDRM || errno == EINVAL) return true;
    snprintf(why, WP_INIT_WHY, "%s has one that cannot be removed: %s", kind->path, strerror(errno));
    return false;
}

/* Calls visit for each that is there. */
static bool each(struct kind *kind, bool (*visit)(struct kind *kind, int id, char *why), char *why) {
    char line[512];
    int id;
    FILE *file = fopen(kind->path, "re");
    if (!file && errno == ENOENT) return true;
    if (!file) {
        snprintf(why, WP_INIT_WHY, "%s cannot be read: %s", kind->path, strerror(errno));
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof line, file)) /* the first line is a heading */
        if (sscanf(line, "%*d %d", &id) == 1) good = visit(kind, id, why);
    fclose(file);
    return good;
}

bool wp_init_keep_ipc(char *why) {
    bool good = true;
    for (size_t i = 0; good && i < sizeof kinds / sizeof kinds[0]; i++) {
        kinds[i].count = 0;
        good = each(&kinds[i], keep, why);
    }
    return good;
}

bool wp_init_remove_ipc(char *why) {
    bool good = true;
    for (size_t i = 0; good && i < sizeof kinds / sizeof kinds[0]; i++)
        good = each(&kinds[i], remove_other, why);
    return good;
}
