/* Processes of a test's servers. */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H
#include <stdbool.h>
#include <sys/types.h>

/* SIGSTOP, and back when the last thread stands still: until then it still answers. */
void process_pause(pid_t pid);
bool process_is_dead(pid_t pid); /* a zombie is, too */
void process_wait_dead(pid_t pid);

#endif
