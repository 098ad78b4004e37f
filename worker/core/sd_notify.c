/* Sends one datagram a call: see sd_notify.h. No state; any thread. */
#include "core/sd_notify.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or with '@' at its beginning a name of the abstract namespace. */
static bool address_of(const char *name, struct sockaddr_un *ret, socklen_t *ret_size) {
    size_t length = strlen(name);
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((name[0] != '/' && name[0] != '@') || length >= sizeof(ret->sun_path)) return false;
    memcpy(ret->sun_path, name, length);
    if (name[0] == '@') ret->sun_path[0] = '\0';
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

void wp_sd_notify(const char *format, ...) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t size;
    if (!name || !address_of(name, &address, &size)) return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    close(fd);
}

int64_t wp_sd_watchdog_us(void) {
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid())) return 0;
    long long value = strtoll(us, NULL, 10);
    return value > 0 ? value : 0;
}
