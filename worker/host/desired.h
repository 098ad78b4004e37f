/* Reads what Redis wants of this host's containers: some of them by name, or all of them page by page. It
 * tells each row by a callback and knows nothing of what is done about it. One thread: the loop's. */
#ifndef WP_HOST_DESIRED_H
#define WP_HOST_DESIRED_H
#include "host/containers.h"
#include "host/pins.h"
#include "store/link.h"

struct wanted { /* one row of an answer; borrowed from it */
    struct wp_str id, state, philosophy;
    struct wp_limits limits;
    struct wp_str number, claim; /* of a bind or reset; the claim to be bound */
};

struct host_desired {
    struct wp_link *link;           /* borrowed, as these two */
    const struct held_table *table; /* a row is as old as its `changes` when the call was sent */
    struct host_pins *pins;         /* held by each call */
    struct asked *asked;            /* to be read next; by id */
    bool asking;                    /* a call of some by name is under way */
    bool stopped;
    /* asked_at: table->changes when the call was sent that the row answers */
    void (*on_row)(void *ctx, const struct wanted *wanted, uint64_t asked_at);
    /* A reading of some by name, or of all, has come to its end. since: table->changes when the first page of
     * all was asked for */
    void (*on_end)(void *ctx, bool all, bool ok, uint64_t since);
    void *ctx;
};

void wp_desired_want(struct host_desired *desired,
                     struct wp_str id); /* then wp_desired_read for all of them */
/* One call at a time: those that come while it is under way are the next one's batch. */
void wp_desired_read(struct host_desired *desired);
/* False: the link does not take it, and on_end is not called. */
bool wp_desired_read_all(struct host_desired *desired) WP_MUST_CHECK;
/* Reads no more, and tells no more rows. The answers under way still end their reading. */
void wp_desired_stop(struct host_desired *desired);
void wp_desired_done(struct host_desired *desired);

#endif
