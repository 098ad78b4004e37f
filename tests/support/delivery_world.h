/* A small world around the pure delivery core, played by a schedule of numbers: one partition's log, a state
 * slot that follows the rules of redis/delivery.lua, a producer, and two workers that may own the partition
 * at the same time without knowing it. After each step the rules of docs/reliability.md are checked. */
#ifndef TEST_DELIVERY_WORLD_H
#define TEST_DELIVERY_WORLD_H
#include <stddef.h>
#include <stdint.h>

/* Plays the schedule, then ends all faults and lets the world finish. Returns what was violated, or NULL;
 * *ret_step is the number of the step after which it was seen. text: room for the message. */
const char *delivery_world_play(const uint16_t *schedule, size_t steps, size_t *ret_step, char text[256]);
/* What a step does, in words, for printing a schedule. */
void delivery_world_describe(uint16_t step, char text[64]);

#endif
