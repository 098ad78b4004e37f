/* Two threads that keep top's news coming: one reads Redis every interval, one the topics. What is away is
 * said in the news, and tried again. */
#ifndef WP_TOP_FEED_H
#define WP_TOP_FEED_H
#include "core/config.h"
#include "top/news.h"

struct top_feed;

/* config is borrowed until the feed is stopped. The threads leave all signals but those of a crash to the
 * caller's. */
struct top_feed *top_feed_start(const struct wp_config *config, int64_t interval_ms);
/* The caller takes the news from it. */
struct top_news *top_feed_news(struct top_feed *feed);
/* Reads that pool's contents, too, at once and from now on; "": none. */
void top_feed_open(struct top_feed *feed, const char *pool);
/* Waits up to wait_ms for both threads and frees the feed. False: one of them is in a call that has not
 * ended; then the feed stays, and the process is to be ended without its clean-up (_exit). */
bool top_feed_stop(struct top_feed *feed, int wait_ms) WP_MUST_CHECK;

#endif
