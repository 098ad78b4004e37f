/* The terminal by ncurses: see terminal.h. ncurses has one screen a process, so its state is the file's.
 * Signal handlers only set a flag and wake the thread. */
#include "top/terminal.h"
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "top/restore.h"
#include "top/keys.h"
#include <term.h> /* the last: it has macros with names of everyday words */

enum { ESCAPE_MS = 60 /* from an Esc until it is a key of its own */ };

static SCREEN *screen;
static int woken = -1; /* an eventfd, written by signal handlers */
static volatile sig_atomic_t ended, stopping, continued, resized;
static bool has_utf8;
static attr_t looks[TOP_STYLES];

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* ---- signals ---- */

static void on_signal(int number) {
    int saved = errno;
    const uint64_t one = 1;
    if (number == SIGWINCH)
        resized = 1;
    else if (number == SIGTSTP)
        stopping = 1;
    else if (number == SIGCONT)
        continued = 1;
    else
        ended = 1;
    if (write(woken, &one, sizeof one) < 0) errno = saved; /* it is readable already */
    errno = saved;
}

static void catch_signal(int number) {
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(number, &action, NULL);
}

/* After newterm, which has handlers of its own. */
static void catch_signals(void) {
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) catch_signal(ends[i]);
    catch_signal(SIGTSTP);
    catch_signal(SIGCONT);
    catch_signal(SIGWINCH);
}

static void release_signals(void) {
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) signal(ends[i], SIG_DFL);
    signal(SIGTSTP, SIG_DFL);
    signal(SIGCONT, SIG_DFL);
    signal(SIGWINCH, SIG_DFL);
}

/* ---- begin and end ---- */

static void choose_looks(bool colours) {
    static const attr_t plain[TOP_STYLES] = {[TOP_STRONG] = A_BOLD,
                                             [TOP_BUSY] = A_BOLD,
                                             [TOP_PENDING] = A_UNDERLINE,
                                             [TOP_BAD] = A_BOLD | A_UNDERLINE,
                                             [TOP_TITLE] = A_REVERSE,
                                             [TOP_HEADING] = A_BOLD | A_UNDERLINE,
                                             [TOP_SELECTED] = A_REVERSE | A_BOLD};
    static const short pairs[TOP_STYLES] = {[TOP_GOOD] = COLOR_GREEN,
                                            [TOP_BUSY] = COLOR_CYAN,
                                            [TOP_PENDING] = COLOR_YELLOW,
                                            [TOP_BAD] = COLOR_RED};
    for (int i = 0; i < TOP_STYLES; i++) {
        looks[i] = plain[i];
        if (!colours || pairs[i] == 0) continue;
        init_pair((short)(i + 1), pairs[i], -1);
        looks[i] = (attr_t)COLOR_PAIR(i + 1) | (i == TOP_BAD ? A_BOLD : A_NORMAL);
    }
}

static bool wants_colours(void) {
    const char *no = getenv("NO_COLOR");
    return !(no && *no) && has_colors() && start_color() == OK && use_default_colors() == OK;
}

#define INSTEAD "`warmpool top --once` prints the figures and ends"

static enum wp_err check_terminal(struct wp_error *error) {
    const char *term = getenv("TERM");
    int why = 0;
    char move[] = "cup";
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return wp_fail(error, WP_ERR_SYSTEM, "standard %s is no terminal; " INSTEAD,
                       isatty(STDOUT_FILENO) ? "input" : "output");
    if (!term || !*term) return wp_fail(error, WP_ERR_SYSTEM, "TERM is not set; " INSTEAD);
    if (setupterm(NULL, STDOUT_FILENO, &why) != OK)
        return wp_fail(error, WP_ERR_SYSTEM, "no terminal of the kind %.64s is known here (TERM); " INSTEAD,
                       term);
    const char *can = tigetstr(move);
    if (!can || can == (char *)-1)
        return wp_fail(error, WP_ERR_SYSTEM,
                       "a terminal of the kind %.64s (TERM) cannot be drawn on; " INSTEAD, term);
    return WP_OK;
}

static void set_modes(void) {
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)intrflush(stdscr, FALSE);
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)curs_set(0);
    (void)set_escdelay(ESCAPE_MS);
}

enum wp_err top_terminal_open(struct wp_error *error) {
    (void)setlocale(LC_CTYPE, "");
    has_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    enum wp_err err = check_terminal(error);
    if (err) return err;
    woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (woken < 0) return wp_fail(error, WP_ERR_SYSTEM, "no eventfd: %s", strerror(errno));
    ended = stopping = continued = resized = 0;
    top_restore_arm();
    screen = newterm(NULL, stdout, stdin);
    if (!screen) {
        top_restore_disarm();
        return wp_fail(error, WP_ERR_SYSTEM, "ncurses cannot draw on this terminal; " INSTEAD);
    }
    catch_signals();
    set_modes();
    choose_looks(wants_colours());
    return WP_OK;
}

/* Where a terminal has no second screen, what is there stays, and the shell goes on in the last line. */
static void leave(void) {
    (void)move(LINES - 1, 0);
    (void)clrtoeol();
    (void)refresh();
    (void)endwin();
}

void top_terminal_close(void) {
    leave();
    release_signals();
    delscreen(screen);
    top_restore_disarm();
    close(woken);
    screen = NULL;
    woken = -1;
}

/* ---- drawing ---- */

void top_terminal_size(int *ret_rows, int *ret_cols) {
    *ret_rows = LINES;
    *ret_cols = COLS;
}

/* The bytes of cells of one style, which are drawn in one go. Returns the column behind them. */
static int draw_run(const struct top_grid *grid, int row, int col) {
    wchar_t text[TOP_SIDE_MOST + 1];
    const struct top_cell *cells = grid->cells + (size_t)row * (size_t)grid->cols;
    uint8_t style = cells[col].style;
    int from = col, n = 0;
    for (; col < grid->cols && cells[col].style == style; col++) {
        uint32_t code = cells[col].text;
        if (!has_utf8 && (code == 0 || code > 0x7e)) code = '?';
        if (code != 0) text[n++] = (wchar_t)code;
    }
    attrset((int)looks[style]);
    (void)mvaddnwstr(row, from, text, n);
    return col;
}

void top_terminal_draw(const struct top_grid *grid) {
    (void)erase();
    for (int row = 0; row < grid->rows && row < LINES; row++)
        for (int col = 0; col < grid->cols;) col = draw_run(grid, row, col);
    (void)refresh();
    top_restore_trim();
}

/* ---- waiting ---- */

static void resize(void) {
    struct winsize size;
    resized = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        (void)resizeterm(size.ws_row, size.ws_col);
}

/* Puts the terminal back, stops as if nobody had caught the signal, and goes on when it is continued. */
static void stop(void) {
    stopping = 0;
    leave();
    signal(SIGTSTP, SIG_DFL);
    (void)raise(SIGTSTP);
    catch_signal(SIGTSTP);
    continued = 1;
}

/* After a stop by this or another signal, while others may have used the terminal. */
static void go_on(void) {
    continued = 0;
    resize();
    (void)reset_prog_mode();
    (void)clearok(curscr, TRUE);
    (void)curs_set(0);
    (void)refresh();
}

void top_terminal_wait(int fd, int timeout_ms) {
    struct pollfd from[] = {{STDIN_FILENO, POLLIN, 0}, {fd, POLLIN, 0}, {woken, POLLIN, 0}};
    uint64_t count;
    (void)poll(from, sizeof from / sizeof from[0], timeout_ms);
    if (from[0].revents & (POLLERR | POLLHUP | POLLNVAL)) ended = 1;
    if (read(woken, &count, sizeof count) < 0) count = 0;
    if (stopping) stop();
    if (continued) go_on();
    if (resized) resize();
}

uint32_t top_terminal_key(void) {
    static const struct {
        int from;
        uint32_t to;
    } keys[] = {{KEY_UP, TOP_KEY_UP},         {KEY_DOWN, TOP_KEY_DOWN},     {KEY_LEFT, TOP_KEY_LEFT},
                {KEY_RIGHT, TOP_KEY_RIGHT},   {KEY_PPAGE, TOP_KEY_PAGE_UP}, {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
                {KEY_HOME, TOP_KEY_HOME},     {KEY_END, TOP_KEY_END},       {KEY_ENTER, TOP_KEY_ENTER},
                {KEY_BACKSPACE, TOP_KEY_BACK}};
    int key;
    while ((key = getch()) != ERR) {
        if (key > 0 && key < KEY_MIN) return key == '\r' ? (uint32_t)TOP_KEY_ENTER : (uint32_t)key;
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (keys[i].from == key) return keys[i].to;
    }
    return 0;
}

bool top_terminal_ended(void) {
    return ended != 0;
}
