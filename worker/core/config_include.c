/* Lists the files of an include: see config_include.h. No state; any thread. */
#include "core/config_include.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/buf.h"

static void add(struct wp_config_files *files, char *path) { /* takes path */
    files->list = wp_realloc(files->list, (files->count + 1) * sizeof(*files->list));
    files->list[files->count++] = path;
}

static char *resolve(const char *from, const char *value) {
    const char *slash = strrchr(from, '/');
    if (value[0] == '/' || !slash) return wp_strdup(value);
    return wp_format("%.*s/%s", (int)(slash - from), from, value);
}

static bool is_wanted(const char *name) {
    size_t length = strlen(name);
    return name[0] != '.' && length > 4 && strcmp(name + length - 4, ".ini") == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* False with errno when the folder cannot be read. */
static bool add_folder(struct wp_config_files *files, const char *folder) {
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    size_t first = files->count;
    if (!dir) return false;
    while ((entry = readdir(dir)))
        if (is_wanted(entry->d_name)) add(files, wp_format("%s/%s", folder, entry->d_name));
    closedir(dir);
    if (files->count > first) qsort(files->list + first, files->count - first, sizeof(*files->list), by_name);
    return true;
}

enum wp_err wp_config_include_find(const char *from, const char *value, struct wp_config_files *ret,
                                   struct wp_error *error) {
    char *path = resolve(from, value);
    struct stat seen;
    bool found = stat(path, &seen) == 0;
    enum wp_err err = WP_OK;
    if (found && !S_ISDIR(seen.st_mode))
        add(ret, wp_strdup(path));
    else if (!found || !add_folder(ret, path))
        err =
            wp_fail(error, WP_ERR_CONFIG,
                    "configuration: include = %s: %s cannot be read: %s; name a folder of *.ini files, or a "
                    "file, that this user may read",
                    value, path, strerror(errno));
    free(path);
    return err;
}

void wp_config_files_done(struct wp_config_files *files) {
    for (size_t i = 0; i < files->count; i++) free(files->list[i]);
    free(files->list);
    *files = (struct wp_config_files){0};
}
