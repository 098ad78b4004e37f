/* What the threads that read Redis and Kafka hand over to the one that draws: a list behind a lock. */
#ifndef WP_TOP_NEWS_H
#define WP_TOP_NEWS_H
#include <pthread.h>
#include "top/model.h"

enum top_news_kind {
    TOP_NEWS_POOL_STATS,
    TOP_NEWS_HOSTS,
    TOP_NEWS_CACHE_STATS,
    TOP_NEWS_CONTAINERS, /* text: the pool */
    TOP_NEWS_WAITING,    /* text: the pool */
    TOP_NEWS_METRICS,    /* at_ms */
    TOP_NEWS_ASSIGNMENT, /* at_ms */
    TOP_NEWS_REDIS,      /* text: why there are no figures, or empty */
    TOP_NEWS_KAFKA,      /* text: the same */
    TOP_NEWS_KINDS,
};

struct top_news_item {
    enum top_news_kind kind;
    json_t *json;  /* owned; NULL: none */
    char *text;    /* owned; NULL: none */
    int64_t at_ms; /* ms since 1970 */
    struct top_news_item *next;
};

struct top_news {
    pthread_mutex_t lock;
    struct top_news_item *first, **end; /* owned */
    int counts[TOP_NEWS_KINDS];         /* of the items in the list, by kind */
    int wake; /* an eventfd that is readable while there are news; -1: none. Owned */
};

/* Until done nobody else may use it any more. */
void top_news_init(struct top_news *news);
void top_news_done(struct top_news *news);
/* Any thread. Takes json, copies text (NULL: none). The list is bounded, because a terminal may take nothing
 * for hours: of what replaces what was known before only the latest is kept, of records the latest thousand
 * of each topic. */
void top_news_post(struct top_news *news, enum top_news_kind kind, json_t *json, const char *text,
                   int64_t at_ms);
/* Brings the model up to date with all that was posted. False: there was nothing. now_ms: since 1970. */
bool top_news_take(struct top_news *news, struct top_model *model, int64_t now_ms);

#endif
