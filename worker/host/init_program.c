/* Writes the file of containers' first process: see init_program.h. The build makes wp_init_program of
 * worker/init/ (cmake/embedded_init.c.in). */
#include "host/init_program.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/buf.h"
#include "init/protocol.h"

extern const char wp_init_program[], wp_init_program_end[];

static bool write_program(int fd) {
    for (const char *at = wp_init_program; at < wp_init_program_end;) {
        ssize_t put = write(fd, at, (size_t)(wp_init_program_end - at));
        if (put < 0 && errno != EINTR) return false;
        if (put > 0) at += put;
    }
    return fchmod(fd, 0555) == 0;
}

enum wp_err wp_init_program_write(const char *folder, struct wp_error *error) {
    char *path = wp_format("%s/" WP_INIT_PROGRAM_SOURCE, folder),
         *fresh = wp_format("%s/" WP_INIT_PROGRAM_SOURCE ".new", folder);
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0500);
    bool good = fd >= 0 && write_program(fd);
    if (fd >= 0 && close(fd) != 0) good = false;
    good = good && rename(fresh, path) == 0;
    enum wp_err err = good ? WP_OK
                           : wp_fail(error, WP_ERR_CONFIG,
                                     "%s cannot be written: %s; name another folder in host.claims, or set "
                                     "pool.clean = false",
                                     path, strerror(errno));
    free(path);
    free(fresh);
    return err;
}

enum wp_err wp_init_program_link(const char *folder, const char *id, struct wp_error *error) {
    char *path = wp_format("%s/" WP_INIT_PROGRAM_SOURCE, folder),
         *name = wp_format("%s/%s/" WP_INIT_PROGRAM, folder, id);
    enum wp_err err = WP_OK;
    if (link(path, name) != 0 && errno != EEXIST)
        err = wp_fail(error, WP_ERR_SYSTEM, "%s cannot be made: %s", name, strerror(errno));
    free(path);
    free(name);
    return err;
}

#ifndef MFD_EXEC /* since Linux 6.3, which may refuse to execute one that was made without it */
#define MFD_EXEC 0x0010U
#endif

enum wp_err wp_init_program_open(int *ret_fd, struct wp_error *error) {
    int fd = memfd_create("warmpool-init", MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("warmpool-init", MFD_CLOEXEC);
    if (fd >= 0 && write_program(fd)) {
        *ret_fd = fd;
        return WP_OK;
    }
    int why = errno;
    if (fd >= 0) close(fd);
    const char *mend = "";
    if (why == EMFILE || why == ENFILE) mend = "; raise the limit of open files";
    if (why == EACCES) mend = "; set vm.memfd_noexec below 2";
    return wp_fail(error, WP_ERR_SYSTEM, "no file in memory for the first process of containers: %s%s",
                   strerror(why), mend);
}
