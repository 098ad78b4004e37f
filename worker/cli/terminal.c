/* Asks the kernel for the controlling terminal: see terminal.h. No state. */
#include "cli/terminal.h"
#include <fcntl.h>
#include <unistd.h>

bool wp_terminal_is_gone(void) {
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd < 0;
}
