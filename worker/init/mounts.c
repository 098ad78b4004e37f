/* Reads /proc/self/mountinfo. The root of a container is read-only; what it can write to is mounted: /tmp,
 * /dev and what is below it, and a volume for each VOLUME of its image. */
#include "init/mounts.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "init/protocol.h"

#define MOUNTS_MAX 256
#define LINE_MAX_BYTES 16384

struct place {
    dev_t device;
    ino_t number;
};

static struct place mounts[MOUNTS_MAX];
static size_t mount_count;
static char *folders[MOUNTS_MAX + 1];
static size_t folder_count;

struct mount { /* a line */
    char *path, *options, *type, *all_options;
};

/* Blanks and backslashes in a path are written as a backslash and three octal digits. */
static void decode(char *path) {
    char *to = path;
    for (const char *from = path; *from; to++) {
        unsigned value;
        if (*from == '\\' && sscanf(from + 1, "%3o", &value) == 1) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* 36 35 98:0 /from /path options optional... - type source options */
static bool parse(char *line, struct mount *ret) {
    char *rest = line, *word = NULL;
    for (int i = 0; i < 6; i++) {
        if (!(word = strsep(&rest, " "))) return false;
        if (i == 4) ret->path = word;
    }
    ret->options = word;
    while (word && strcmp(word, "-") != 0) word = strsep(&rest, " ");
    ret->type = strsep(&rest, " ");
    strsep(&rest, " ");
    ret->all_options = strsep(&rest, " \n");
    if (!ret->all_options) return false;
    decode(ret->path);
    return true;
}

static bool has_rw(const char *options) {
    return strncmp(options, "rw", 2) == 0 && (options[2] == ',' || options[2] == '\0');
}

/* The kernel's own tell of the container and keep nothing of its users. */
static bool keeps_files(const char *type) {
    static const char *const others[] = {"proc", "sysfs", "cgroup", "cgroup2", "devpts"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(type, others[i]) == 0) return false;
    return true;
}

static bool is_at(const struct place *place, const struct stat *seen) {
    return place->device == seen->st_dev && place->number == seen->st_ino;
}

static bool is_shared(const struct stat *seen, char *const shared[]) {
    for (; *shared; shared++) {
        struct stat other;
        if (stat(*shared, &other) == 0 && other.st_dev == seen->st_dev && other.st_ino == seen->st_ino)
            return true;
    }
    return false;
}

/* One that cannot be seen cannot be reached by the container's user either. */
static bool add(const struct mount *mount, char *const shared[]) {
    struct stat seen;
    if (stat(mount->path, &seen) != 0) return true;
    if (mount_count == MOUNTS_MAX) return false;
    mounts[mount_count++] = (struct place){seen.st_dev, seen.st_ino};
    if (!S_ISDIR(seen.st_mode) || !has_rw(mount->options) || !has_rw(mount->all_options) ||
        !keeps_files(mount->type) || is_shared(&seen, shared))
        return true;
    folders[folder_count] = strdup(mount->path);
    return folders[folder_count++] != NULL;
}

static void forget(void) {
    while (folder_count > 0) free(folders[--folder_count]);
    memset(folders, 0, sizeof folders);
    mount_count = 0;
}

bool wp_init_find_mounts(char *const shared[], char *why) {
    static char line[LINE_MAX_BYTES];
    struct mount mount = {0};
    forget();
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file) {
        snprintf(why, WP_INIT_WHY, "/proc/self/mountinfo cannot be read: %s", strerror(errno));
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof line, file))
        good = strchr(line, '\n') && parse(line, &mount) && add(&mount, shared);
    fclose(file);
    if (!good) snprintf(why, WP_INIT_WHY, "/proc/self/mountinfo has more than can be understood");
    return good;
}

const char *const *wp_init_folders(void) {
    return (const char *const *)folders;
}

bool wp_init_is_mount(const struct stat *seen) {
    for (size_t i = 0; i < mount_count; i++)
        if (is_at(&mounts[i], seen)) return true;
    return false;
}
