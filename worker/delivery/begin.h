/* Delivery rule 6: where a partition begins, decided from what Kafka and the state slot say. Pure. */
#ifndef WP_DELIVERY_BEGIN_H
#define WP_DELIVERY_BEGIN_H
#include <stdbool.h>
#include <stdint.h>

struct wp_begin_facts {
    int64_t committed; /* the group's commit; -1: none */
    int64_t low, high; /* first offset of the log, and the one after its last */
    int64_t floor;     /* the slot's; -1: it knows nothing of the partition */
    bool recovered;    /* the slot was rebuilt since it lost its data, or needs no rebuilding */
};

enum wp_begin_kind {
    WP_BEGIN_AT,        /* begin at start */
    WP_BEGIN_SET_FLOOR, /* set the slot's floor to start, then begin there */
    WP_BEGIN_RECOVER,   /* the slot has lost its data: rebuild it first */
    WP_BEGIN_BLOCKED,   /* the next offset is not in the log: an operator decides (`warmpool accept`) */
};

struct wp_begin {
    enum wp_begin_kind kind;
    int64_t start;
    bool forgotten; /* of SET_FLOOR: a commit without a floor shows that the slot has lost its data */
};

struct wp_begin wp_begin_decide(const struct wp_begin_facts *facts);

#endif
