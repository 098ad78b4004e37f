/* Processes of a test's servers. */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H
#include <sys/types.h>

/* SIGSTOP, and back when the last thread stands still: until then it still answers. */
void process_pause(pid_t pid);

#endif
