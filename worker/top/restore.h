/* Puts the terminal back when the process crashes: what can be done within a signal handler. */
#ifndef WP_TOP_RESTORE_H
#define WP_TOP_RESTORE_H

/* Remembers the terminal as it is, and catches SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT. What goes to
 * stderr from now on is kept out of the screen; a crash prints its end. To be called before the screen is
 * changed, when terminfo is there (setupterm). */
void top_restore_arm(void);
/* stderr is itself again, and a crash is none of this file's business. */
void top_restore_disarm(void);
/* Forgets what was written to stderr, when it is much. */
void top_restore_trim(void);

#endif
