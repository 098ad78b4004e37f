/* Owns the files of claims: see claims.h. */
#include "host/claims.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/log.h"
#include "init/protocol.h"

#define NEW_FILE ".claim.json.new"

/* mkdir applies the umask, which could keep the container's user out: chmod sets the mode. */
static bool make_folder(const char *path, mode_t mode) {
    return (mkdir(path, mode) == 0 && chmod(path, mode) == 0) || errno == EEXIST;
}

/* In memory where the system has a place for that; in /tmp others may have made it before (wp_claims_open).
 */
char *wp_claims_root(const struct wp_config *config, bool wanted) {
    const char *own = getenv("XDG_RUNTIME_DIR");
    if (*config->host.claims || !wanted) return wp_strdup(config->host.claims);
    char *root = wp_format("%s/warmpool-%u-%s-%s",
                           own && own[0] == '/' ? own
                           : getuid() == 0      ? "/run"
                                                : "/tmp",
                           (unsigned)getuid(), config->redis.prefix, config->topics.prefix);
    for (char *at = strrchr(root, '-'); *at; at++)
        if (*at == '/') *at = '_';
    return root;
}

char *wp_claims_folder(const char *root, const char *host) {
    return *root ? wp_format("%s/%s", root, host) : wp_strdup("");
}

/* In /tmp another user may have made it, who could then replace what is in it. */
static bool is_trusted(const char *path) {
    struct stat seen;
    if (lstat(path, &seen) != 0) return false;
    errno = EPERM;
    return geteuid() == 0 || seen.st_uid == geteuid() || seen.st_uid == 0;
}

enum wp_err wp_claims_open(const char *root, const char *folder, struct wp_error *error) {
    if (!*root ||
        (make_folder(root, 0700) && is_trusted(root) && make_folder(folder, 0700) && is_trusted(folder)))
        return WP_OK;
    return wp_fail(
        error, WP_ERR_CONFIG,
        "host.claims = %s: %s cannot be made: %s; name a folder that this user may make, or leave it empty "
        "to take no claims",
        root, folder, strerror(errno));
}

void wp_claims_close(const struct wp_config *config, const char *root, const char *folder) {
    if (!*root || *config->host.claims) return;
    char *program = wp_format("%s/" WP_INIT_PROGRAM_SOURCE, folder);
    unlink(program);
    free(program);
    if (rmdir(folder) == 0) rmdir(root);
}

enum wp_err wp_claims_make(const char *folder, const char *id, struct wp_error *error) {
    if (!*folder) return WP_OK;
    char *path = wp_format("%s/%s", folder, id);
    enum wp_err err = WP_OK;
    if (!make_folder(path, 0755))
        err = wp_fail(error, WP_ERR_SYSTEM, "its folder in host.claims cannot be made: %s", strerror(errno));
    free(path);
    return err;
}

static bool write_all(int fd, struct wp_str text) {
    while (text.len > 0) {
        ssize_t count = write(fd, text.ptr, text.len);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return false;
        text.ptr += count;
        text.len -= (size_t)count;
    }
    return true;
}

/* A file system may keep what was only unlinked. */
static bool overwrite(const char *path) {
    static const char nothing[4096];
    struct stat file;
    int fd = chmod(path, 0600) == 0 ? open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    bool good = fd >= 0 && fstat(fd, &file) == 0;
    for (off_t left = good ? file.st_size : 0; good && left > 0; left -= (off_t)sizeof nothing)
        good = write_all(
            fd, (struct wp_str){nothing, left < (off_t)sizeof nothing ? (size_t)left : sizeof nothing});
    if (fd >= 0) close(fd);
    return good;
}

enum wp_err wp_claims_write(const char *folder, const char *id, struct wp_str claim, struct wp_error *error) {
    if (!*folder) return wp_fail(error, WP_ERR_CONFIG, "host.claims is empty: this host takes no claims");
    char *fresh = wp_format("%s/%s/" NEW_FILE, folder, id),
         *path = wp_format("%s/%s/" WP_CLAIM_FILE, folder, id);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0444);
    bool good = fd >= 0 && fchmod(fd, 0444) == 0 && write_all(fd, claim);
    if (fd >= 0 && close(fd) != 0) good = false;
    good = good && rename(fresh, path) == 0;
    enum wp_err err = WP_OK;
    if (!good) {
        err = wp_fail(error, WP_ERR_SYSTEM, "%s cannot be written: %s", path, strerror(errno));
        (void)overwrite(fresh); /* a part of it may be there */
        unlink(fresh);
    }
    free(fresh);
    free(path);
    return err;
}

json_t *wp_claims_read(const char *folder, const char *id) {
    char *path = wp_format("%s/%s/" WP_CLAIM_FILE, folder, id);
    json_t *claim = json_load_file(path, JSON_DECODE_ANY, NULL);
    free(path);
    return claim;
}

char *wp_claims_changed(const char *folder, const char *id) {
    char *path = wp_format("%s/%s", folder, id);
    struct stat seen;
    bool found = stat(path, &seen) == 0;
    free(path);
    return found ? wp_format("%lld.%09ld", (long long)seen.st_mtim.tv_sec, seen.st_mtim.tv_nsec) : NULL;
}

static bool remove_files(const char *folder, const char *id, const char *const names[], size_t count) {
    bool removed = true;
    for (size_t i = 0; *folder && i < count; i++) {
        char *path = wp_format("%s/%s/%s", folder, id, names[i]);
        if (unlink(path) != 0 && errno != ENOENT) removed = false;
        free(path);
    }
    return removed;
}

bool wp_claims_wipe(const char *folder, const char *id) {
    static const char *const names[] = {WP_CLAIM_FILE, NEW_FILE};
    bool clean = true;
    for (size_t i = 0; *folder && i < sizeof names / sizeof names[0]; i++) {
        char *path = wp_format("%s/%s/%s", folder, id, names[i]);
        bool there = access(path, F_OK) == 0;
        if (there && !overwrite(path)) clean = false;
        if (there && unlink(path) != 0) clean = false;
        free(path);
    }
    return clean;
}

void wp_claims_remove(const char *folder, const char *id) {
    static const char *const of_init[] = {WP_INIT_PROGRAM, WP_INIT_SOCKET, WP_INIT_NEW_SOCKET};
    if (!*folder) return;
    wp_claims_wipe(folder, id);
    (void)remove_files(folder, id, of_init, sizeof of_init / sizeof of_init[0]);
    char *path = wp_format("%s/%s", folder, id);
    if (rmdir(path) != 0 && errno != ENOENT)
        wp_log(WP_LOG_WARN, "claims_not_removed", "folder=%s reason=%s", path, strerror(errno));
    free(path);
}

void wp_claims_keep(const char *folder, bool (*is_held)(void *ctx, const char *id), void *ctx) {
    DIR *dir = *folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "wp-", 3) == 0 && !is_held(ctx, entry->d_name))
            wp_claims_remove(folder, entry->d_name);
    }
    if (dir) closedir(dir);
}
