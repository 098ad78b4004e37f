/* Knows a file by its inode's number and its path: one that was replaced, moved or linked is another one.
 * Links are never followed, other mounts never entered. */
#include "init/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "init/mounts.h"
#include "init/processes.h"
#include "init/protocol.h"

#define KEPT_MAX 65536
#define DEPTH_MAX 64 /* of a folder that stays */
#define MOVED ".warmpool-%u"

struct file {
    uint64_t number, place; /* its inode's; the hash of its path and of the folders' numbers above it */
};

static struct file *kept;
static size_t kept_count, kept_room;

struct walk { /* through one folder */
    const char *path;
    int top; /* the folder */
    dev_t device;
    int64_t until_ms;
    unsigned moved; /* the number of the folder that was moved to the top last */
    bool found;     /* something was removed, or moved to the top, in this pass */
    char *why;
};

static bool fail(const struct walk *walk, const char *what) {
    snprintf(walk->why, WP_INIT_WHY, "%s %s: %s", walk->path, what, strerror(errno));
    return false;
}

/* FNV-1a */
static uint64_t hash(uint64_t value, const void *bytes, size_t count) {
    for (const unsigned char *at = bytes; count > 0; at++, count--) value = (value ^ *at) * 0x100000001b3;
    return value;
}

static struct file file_of(uint64_t above, const char *name, const struct stat *seen) {
    return (struct file){seen->st_ino,
                         hash(hash(above, name, strlen(name) + 1), &seen->st_ino, sizeof seen->st_ino)};
}

static uint64_t place_of_top(const char *path) {
    return hash(0xcbf29ce484222325, path, strlen(path) + 1);
}

static DIR *open_folder(int above, const char *name) {
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !dir) close(fd);
    return dir;
}

/* The next entry that belongs to the walk's own mount. NULL: there is none; errno is 0 unless it failed. */
static const char *next_entry(const struct walk *walk, DIR *dir, struct stat *ret_seen) {
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (fstatat(dirfd(dir), entry->d_name, ret_seen, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            return NULL;
        }
        if (ret_seen->st_dev == walk->device && !wp_init_is_mount(ret_seen)) return entry->d_name;
    }
    return NULL;
}

/* A folder of somebody else that the container's user cannot enter: nothing of it can be below. */
static bool is_closed(int above, const char *name) {
    struct stat seen;
    return fstatat(above, name, &seen, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(seen.st_mode) &&
           seen.st_uid != geteuid() && faccessat(above, name, X_OK, 0) != 0 && errno == EACCES;
}

/* A folder could not be opened. */
static bool pass_by(const struct walk *walk, int above, const char *name) {
    int why = errno;
    if (why == EACCES && is_closed(above, name)) return true;
    errno = why;
    return fail(walk, "has a folder that cannot be read");
}

/* Opens the folder and calls step with it. A folder that is not there is no failure. */
static bool walk_folder(struct walk *walk, bool (*step)(struct walk *walk, DIR *dir)) {
    struct stat seen;
    DIR *dir = open_folder(AT_FDCWD, walk->path);
    if (!dir) return errno == ENOENT || pass_by(walk, AT_FDCWD, walk->path);
    walk->top = dirfd(dir);
    bool good = fstat(walk->top, &seen) == 0 || fail(walk, "cannot be seen");
    walk->device = seen.st_dev;
    good = good && step(walk, dir);
    closedir(dir);
    return good;
}

/* ---- what stays ---- */

static bool keep(struct walk *walk, struct file file) {
    if (kept_count == KEPT_MAX) {
        snprintf(walk->why, WP_INIT_WHY, "%s has more than %d files", walk->path, KEPT_MAX);
        return false;
    }
    if (kept_count == kept_room) {
        size_t room = kept_room ? 2 * kept_room : 256;
        struct file *larger = realloc(kept, room * sizeof *larger);
        if (!larger) return fail(walk, "has too many files");
        kept = larger;
        kept_room = room;
    }
    kept[kept_count++] = file;
    return true;
}

static bool keep_below(struct walk *walk, DIR *dir, uint64_t above, int depth) {
    struct stat seen;
    const char *name;
    while ((name = next_entry(walk, dir, &seen))) {
        struct file file = file_of(above, name, &seen);
        if (!keep(walk, file)) return false;
        if (!S_ISDIR(seen.st_mode)) continue;
        errno = ELOOP;
        DIR *below = depth < DEPTH_MAX ? open_folder(dirfd(dir), name) : NULL;
        bool good = below ? keep_below(walk, below, file.place, depth + 1) : pass_by(walk, dirfd(dir), name);
        if (below) closedir(below);
        if (!good) return false;
    }
    return errno == 0 || fail(walk, "cannot be read");
}

static bool keep_folder(struct walk *walk, DIR *dir) {
    return keep_below(walk, dir, place_of_top(walk->path), 0);
}

static int compare(const void *a, const void *b) {
    const struct file *first = a, *second = b;
    if (first->number != second->number) return first->number > second->number ? 1 : -1;
    return (first->place > second->place) - (first->place < second->place);
}

bool wp_init_keep_files(const char *const folders[], char *why) {
    kept_count = 0;
    for (size_t i = 0; folders[i]; i++) {
        struct walk walk = {.path = folders[i], .why = why};
        if (!walk_folder(&walk, keep_folder)) return false;
    }
    if (kept_count > 0) qsort(kept, kept_count, sizeof *kept, compare);
    return true;
}

static bool is_kept(struct file file) {
    return kept_count > 0 && bsearch(&file, kept, kept_count, sizeof *kept, compare) != NULL;
}

/* ---- what goes ---- */

static bool in_time(const struct walk *walk) {
    if (wp_init_now_ms() < walk->until_ms) return true;
    snprintf(walk->why, WP_INIT_WHY, "%s has more files than can be removed in time", walk->path);
    return false;
}

/* Folders may be nested deeper than anybody can follow: each is moved to the top before it is emptied. */
static bool move_to_top(struct walk *walk, int above, const char *name) {
    char target[32];
    fchmodat(above, name, 0700, 0);
    do {
        snprintf(target, sizeof target, MOVED, ++walk->moved);
        if (renameat2(above, name, walk->top, target, RENAME_NOREPLACE) == 0) return true;
    } while (errno == EEXIST);
    return fail(walk, "has a folder that cannot be moved");
}

static bool empty_folder(struct walk *walk, DIR *dir) {
    struct stat seen;
    const char *name;
    while ((name = next_entry(walk, dir, &seen))) {
        if (!in_time(walk)) return false;
        if (S_ISDIR(seen.st_mode)) {
            if (!move_to_top(walk, dirfd(dir), name)) return false;
        } else if (unlinkat(dirfd(dir), name, 0) != 0 && errno != ENOENT) {
            return fail(walk, "has a file that cannot be removed");
        }
    }
    return errno == 0 || fail(walk, "cannot be read");
}

static bool remove_folder(struct walk *walk, int above, const char *name) {
    fchmodat(above, name, 0700, 0); /* its owner may have taken all rights from it */
    DIR *dir = open_folder(above, name);
    if (!dir) return fail(walk, "has a folder that cannot be read");
    bool good = empty_folder(walk, dir);
    closedir(dir);
    if (!good) return false;
    /* readdir may have missed one: the next pass finds it. */
    return unlinkat(above, name, AT_REMOVEDIR) == 0 || errno == ENOTEMPTY || errno == EEXIST ||
           errno == ENOENT || fail(walk, "has a folder that cannot be removed");
}

static bool remove_below(struct walk *walk, DIR *dir, uint64_t above);

static bool remove_one(struct walk *walk, int above, const char *name, const struct stat *seen,
                       struct file file) {
    if (!is_kept(file)) {
        walk->found = true;
        if (S_ISDIR(seen->st_mode)) return remove_folder(walk, above, name);
        return unlinkat(above, name, 0) == 0 || errno == ENOENT ||
               fail(walk, "has a file that cannot be removed");
    }
    if (!S_ISDIR(seen->st_mode)) return true;
    DIR *dir = open_folder(above, name);
    if (!dir) return pass_by(walk, above, name);
    bool good = remove_below(walk, dir, file.place);
    closedir(dir);
    return good;
}

static bool remove_below(struct walk *walk, DIR *dir, uint64_t above) {
    struct stat seen;
    const char *name;
    while ((name = next_entry(walk, dir, &seen)))
        if (!in_time(walk) || !remove_one(walk, dirfd(dir), name, &seen, file_of(above, name, &seen)))
            return false;
    return errno == 0 || fail(walk, "cannot be read");
}

/* Again until a pass finds nothing: what is read while it is changed may be missed. */
static bool remove_in_folder(struct walk *walk, DIR *dir) {
    do {
        walk->found = false;
        rewinddir(dir);
        if (!remove_below(walk, dir, place_of_top(walk->path))) return false;
    } while (walk->found);
    return true;
}

bool wp_init_remove_files(const char *const folders[], int64_t until_ms, char *why) {
    for (size_t i = 0; folders[i]; i++) {
        struct walk walk = {.path = folders[i], .until_ms = until_ms, .why = why};
        if (!walk_folder(&walk, remove_in_folder)) return false;
    }
    return true;
}
