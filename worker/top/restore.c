/* The terminal after a crash: see restore.h. One terminal a process, so its state is the file's. */
#include "top/restore.h"
#include <curses.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

enum { KEPT_MOST = 65536, TOLD_MOST = 2000 };

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static struct termios before;
static char sequence[256]; /* leaves the screen of a program, shows the cursor */
static size_t sequence_length;
static int kept = -1;        /* where stderr goes meanwhile; -1: it is itself */
static int real_stderr = -1; /* owned */

/* Appends a capability, without the pauses that some old terminals want. */
static void add(const char *name) {
    char capability[8];
    snprintf(capability, sizeof capability, "%s", name);
    const char *text = tigetstr(capability);
    if (!text || text == (char *)-1) return;
    while (*text && sequence_length < sizeof sequence) {
        const char *end = text[0] == '$' && text[1] == '<' ? strchr(text, '>') : NULL;
        if (end)
            text = end + 1;
        else
            sequence[sequence_length++] = *text++;
    }
}

static void write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written <= 0) return;
        bytes += written;
        length -= (size_t)written;
    }
}

/* The end of what went to stderr: the reason of an abort is there. */
static void tell(void) {
    char text[TOLD_MOST];
    off_t end = lseek(kept, 0, SEEK_END);
    off_t from = end > TOLD_MOST ? end - TOLD_MOST : 0;
    if (end <= 0 || lseek(kept, from, SEEK_SET) < 0) return;
    ssize_t length = read(kept, text, sizeof text);
    if (length > 0) write_all(real_stderr, text, (size_t)length);
}

/* Runs in the thread that crashed. The default action is back when it is called: what it raises ends the
 * process when it returns, also where another process has sent the signal. */
static void on_crash(int number) {
    write_all(STDOUT_FILENO, sequence, sequence_length);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    if (kept >= 0) tell();
    (void)raise(number);
}

static void redirect_stderr(void) {
    kept = memfd_create("warmpool-top-stderr", MFD_CLOEXEC);
    real_stderr = kept >= 0 ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) : -1;
    if (real_stderr >= 0) (void)dup2(kept, STDERR_FILENO);
}

void top_restore_arm(void) {
    static const char *const capabilities[] = {"sgr0", "op", "rmkx", "cnorm", "rmcup"};
    const struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    (void)tcgetattr(STDIN_FILENO, &before);
    sequence_length = 0;
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) add(capabilities[i]);
    redirect_stderr();
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) sigaction(crashes[i], &action, NULL);
}

void top_restore_disarm(void) {
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) signal(crashes[i], SIG_DFL);
    if (real_stderr >= 0) {
        (void)dup2(real_stderr, STDERR_FILENO);
        close(real_stderr);
    }
    if (kept >= 0) close(kept);
    real_stderr = kept = -1;
}

void top_restore_trim(void) {
    if (kept >= 0 && lseek(kept, 0, SEEK_END) > KEPT_MOST && ftruncate(kept, 0) == 0)
        (void)lseek(kept, 0, SEEK_SET);
}
