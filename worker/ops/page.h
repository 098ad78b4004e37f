/* The status page: the files of worker/page/ and a stream of figures for them. Internal to ops/. */
#ifndef WP_OPS_PAGE_H
#define WP_OPS_PAGE_H
#include "ops/snapshot.h"
#include "ops/streams.h"

/* Borrows both. The reader (may be NULL) renews the shared figures, every two seconds while a page is open.
 */
struct page *page_new(const struct ops_snapshot *snapshot, struct shared_reader *reader);
/* Answers GET and HEAD of the page's paths; *ret_result is what libmicrohttpd is to be told. False: the path
 * is none of them. */
bool page_answer(struct page *page, struct MHD_Connection *connection, const char *url, bool head,
                 enum MHD_Result *ret_result);
/* Ends its streams: before the daemon runs a last time and is stopped. */
void page_end(struct page *page);
void page_free(struct page *page); /* after the daemon; NULL is fine */

#endif
