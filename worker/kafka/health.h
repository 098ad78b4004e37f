/* Whether this worker can do its work with Kafka, and the classes of librdkafka's errors: those that pass by
 * themselves, those that an operator has to mend (explained with the configuration key), those that need a
 * new client, and those that are final. Any number of clients report to one struct wp_stats. The loop's
 * thread. */
#ifndef WP_KAFKA_HEALTH_H
#define WP_KAFKA_HEALTH_H
#include <librdkafka/rdkafka.h>
#include "core/config.h"
#include "core/stats.h"

/* The source of a trouble, which alone may end it. The first one in this order is shown as the reason. */
enum wp_trouble {
    WP_TROUBLE_FENCED,     /* another worker has this one's id */
    WP_TROUBLE_BROKERS,    /* they do not answer */
    WP_TROUBLE_GROUP,      /* the consumer group is not joined */
    WP_TROUBLE_TOPICS,     /* a topic is missing, or may not be seen, or has no leader */
    WP_TROUBLE_PARTITIONS, /* one partition cannot be read */
    WP_TROUBLE_PRODUCER,   /* records are not taken */
    WP_TROUBLES,
};

/* Sets the source's trouble; reason NULL or empty: it is over. Updates stats->kafka and logs each change
 * once. */
void wp_kafka_trouble(struct wp_stats *stats, enum wp_trouble source, const char *reason);

/* The same of what every worker waits for at its start, which is worth no warning. */
void wp_kafka_starts(struct wp_stats *stats, enum wp_trouble source, const char *what);

enum wp_fault {
    WP_FAULT_PASSING, /* ends by itself: brokers away, no leader for the moment */
    WP_FAULT_REFUSED, /* Kafka refuses until somebody changes something: rights, sizes */
    WP_FAULT_CLIENT,  /* the client is unusable: a new one takes its place */
    WP_FAULT_FENCED,  /* another member has the same group.instance.id: final for this worker */
};
enum wp_fault wp_kafka_fault(rd_kafka_resp_err_t err);
/* True: the group does not let this worker in until somebody changes something. */
bool wp_kafka_is_of_group(rd_kafka_resp_err_t err);

/* What to do about a connection that librdkafka says this of; NULL: nothing that follows from the text. */
const char *wp_kafka_mend(const char *trouble);

/* One sentence: what Kafka says, of which topic (NULL: none), and what to do about it. */
void wp_kafka_explain(char *text, size_t size, rd_kafka_resp_err_t err, const struct wp_config *config,
                      const char *topic);

#endif
