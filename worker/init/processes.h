/* The processes of the container: which were there when it became ready, and ending all others. */
#ifndef WP_INIT_PROCESSES_H
#define WP_INIT_PROCESSES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t wp_init_now_ms(void);
/* Remembers the processes that are there. False: why says what is wrong, as in all files of this folder. */
bool wp_init_keep_processes(char *why);
/* Ends all processes but those that were remembered. reap: collects the init's own children that have ended.
 */
bool wp_init_end_processes(int64_t until_ms, void (*reap)(void), char *why);

#endif
