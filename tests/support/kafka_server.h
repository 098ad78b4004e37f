/* A real Apache Kafka for tests: one node, started and stopped by tests/support/kafka/kafka, in a folder of
 * its own. It ends with the process that started it. A failure to start ends the process with a sentence:
 * nothing is skipped. */
#ifndef TESTS_KAFKA_SERVER_H
#define TESTS_KAFKA_SERVER_H

struct kafka_server {
    char dir[64];
    char bootstrap[64]; /* "127.0.0.1:PORT", the same after a restart */
};

void kafka_server_start(struct kafka_server *server);   /* a new, empty one */
void kafka_server_kill(struct kafka_server *server);    /* SIGKILL, and waits until its port is closed */
void kafka_server_restart(struct kafka_server *server); /* after a kill: the same data, the same ports */
void kafka_server_pause(struct kafka_server *server);   /* SIGSTOP: connected, and silent */
void kafka_server_resume(struct kafka_server *server);
void kafka_server_stop(struct kafka_server *server); /* and removes its folder */

#endif
