/* Reads from Redis what it wants of this host's containers: of some by name, or of all page by page. Passes
 * each row to a callback, and does not act on it. One thread: the loop's. */
#ifndef WP_HOST_DESIRED_H
#define WP_HOST_DESIRED_H
#include "host/containers.h"
#include "host/pins.h"
#include "store/link.h"

struct wanted { /* one row of an answer; borrowed from it */
    struct wp_str id, state, philosophy;
    struct wp_limits limits;
    /* the number of a bind or reset; "spare" of one that is being made, for which no request waits; else
     * "outdated" of one that Redis knows as that. The claim of a bind. */
    struct wp_str number, claim;
};

struct host_desired {
    struct wp_link *link;           /* borrowed, as these two */
    const struct held_table *table; /* its `changes` date the rows: see asked_at */
    struct host_pins *pins;         /* held by each call */
    struct asked *asked;            /* to be read next; by id */
    bool asking;                    /* a call of some by name is under way */
    bool stopped;
    /* asked_at: table->changes when the call that returned the row was sent */
    void (*on_row)(void *ctx, const struct wanted *wanted, uint64_t asked_at);
    /* All rows were passed of a read by name, or of a read of all. since: table->changes when the first page
     * of all was asked for */
    void (*on_end)(void *ctx, bool all, bool ok, uint64_t since);
    void *ctx;
};

void wp_desired_want(struct host_desired *desired,
                     struct wp_str id); /* then wp_desired_read for all of them */
/* Reads the wanted ones. One call at a time: containers wanted while it is under way go in the next call. */
void wp_desired_read(struct host_desired *desired);
/* False: the link does not take it, and on_end is not called. */
bool wp_desired_read_all(struct host_desired *desired) WP_MUST_CHECK;
/* Sends no more calls and passes no more rows. on_end is still called for the calls under way. */
void wp_desired_stop(struct host_desired *desired);
void wp_desired_done(struct host_desired *desired);

#endif
