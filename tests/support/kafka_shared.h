/* One real Kafka for all tests of an executable. Asking for its address is what starts it: before the first
 * test, and it ends after the last. */
#ifndef TESTS_KAFKA_SHARED_H
#define TESTS_KAFKA_SHARED_H

const char *kafka_shared(void); /* its bootstrap servers */

#endif
