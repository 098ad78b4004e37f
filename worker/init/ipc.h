/* What System V IPC has of the container: shared memory, message queues, semaphores. They outlive the process
 * that made them. */
#ifndef WP_INIT_IPC_H
#define WP_INIT_IPC_H
#include <stdbool.h>

bool wp_init_keep_ipc(char *why);
/* Removes what was not there. */
bool wp_init_remove_ipc(char *why);

#endif
