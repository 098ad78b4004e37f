/* The steps of the runtime around a lease: pause, bind and reset, each as Redis wants it of a ready
 * container. Knows only the table of containers. */
#ifndef WP_HOST_BIND_H
#define WP_HOST_BIND_H
#include "host/containers.h"

void wp_held_pause(struct held_table *table, struct held *held);
/* Resumes one that somebody else has paused. Its row is read again afterwards. */
void wp_held_resume(struct held_table *table, struct held *held);
void wp_held_bind(struct held_table *table, struct held *held, struct wp_str number, struct wp_str claim);
void wp_held_reset(struct held_table *table, struct held *held, struct wp_str number);
/* The step under way has ended with PAUSED, RUNNING, CLEANED or RAN; without one somebody else has paused or
 * resumed it. True: Redis may want something else of the container by now, so its row is to be read again. */
bool wp_held_step_over(struct held_table *table, struct held *held,
                       enum wp_container_state state) WP_MUST_CHECK;

#endif
