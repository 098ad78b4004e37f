/* The threads that read: see feed.h. */
#include "top/feed.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "top/kafka_source.h"
#include "top/redis_source.h"

enum { RETRY_MS = 1000, KAFKA_RETRY_MS = 3000, KAFKA_WAIT_MS = 200, KAFKA_TIMEOUT_MS = 5000 };

struct top_feed {
    const struct wp_config *config; /* borrowed */
    int64_t interval_ms;
    struct top_news news;
    pthread_t redis, kafka;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool stopped;
    char pool[TOP_NAME + 1];
    unsigned opened; /* how often another pool was opened */
};

struct wish { /* what is to be read */
    char pool[TOP_NAME + 1];
    unsigned opened;
};

/* Waits so long, or until another pool is opened. False: the feed is stopped. */
static bool wait_for(struct top_feed *feed, int64_t ms, struct wish *wish) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&feed->lock);
    int late = 0;
    while (!feed->stopped && feed->opened == wish->opened && !late)
        late = pthread_cond_timedwait(&feed->changed, &feed->lock, &until);
    bool goes_on = !feed->stopped;
    wish->opened = feed->opened;
    snprintf(wish->pool, sizeof wish->pool, "%s", feed->pool);
    pthread_mutex_unlock(&feed->lock);
    return goes_on;
}

static void *run_redis(void *ctx) {
    struct top_feed *feed = ctx;
    struct top_redis redis = {.config = feed->config};
    struct wish wish = {0};
    struct wp_error error;
    int64_t pause = 0;
    while (wait_for(feed, pause, &wish)) {
        enum wp_err err = top_redis_read(&redis, wish.pool, &feed->news, &error);
        top_news_post(&feed->news, TOP_NEWS_REDIS, NULL, err ? error.text : "", 0);
        pause = err ? RETRY_MS : feed->interval_ms;
    }
    top_redis_close(&redis);
    return NULL;
}

/* One round: opens what is not open, and takes what has come. Returns how long to wait until the next one. */
static int64_t read_topics(struct top_feed *feed, struct top_kafka *kafka, const struct wish *wish,
                           bool *was_well) {
    struct wp_error error;
    char trouble[400];
    enum wp_err err = top_kafka_open(kafka, KAFKA_TIMEOUT_MS, &error);
    if (!err) err = top_kafka_answers(kafka, wish->pool, KAFKA_TIMEOUT_MS, &error);
    if (!err) top_kafka_take(kafka, KAFKA_WAIT_MS, &feed->news);
    top_kafka_trouble(kafka, trouble, sizeof trouble);
    bool well = !err && !trouble[0];
    if (!well || !*was_well) top_news_post(&feed->news, TOP_NEWS_KAFKA, NULL, err ? error.text : trouble, 0);
    *was_well = well;
    return err ? KAFKA_RETRY_MS : 0;
}

static void *run_kafka(void *ctx) {
    struct top_feed *feed = ctx;
    struct top_kafka kafka = {.config = feed->config};
    struct wish wish = {0};
    bool was_well = false;
    int64_t pause = 0;
    while (wait_for(feed, pause, &wish)) pause = read_topics(feed, &kafka, &wish, &was_well);
    top_kafka_close(&kafka);
    return NULL;
}

static void init_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    wp_assert(pthread_condattr_init(&attributes) == 0);
    wp_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    wp_assert(pthread_cond_init(condition, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

static void start_threads(struct top_feed *feed) {
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) sigdelset(&all, crashes[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    wp_assert(pthread_create(&feed->redis, NULL, run_redis, feed) == 0);
    wp_assert(pthread_create(&feed->kafka, NULL, run_kafka, feed) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct top_feed *top_feed_start(const struct wp_config *config, int64_t interval_ms) {
    struct top_feed *feed = wp_calloc(1, sizeof *feed);
    feed->config = config;
    feed->interval_ms = interval_ms;
    json_object_seed(0); /* before there are threads that would do it at once */
    top_news_init(&feed->news);
    wp_assert(pthread_mutex_init(&feed->lock, NULL) == 0);
    init_condition(&feed->changed);
    start_threads(feed);
    return feed;
}

struct top_news *top_feed_news(struct top_feed *feed) {
    return &feed->news;
}

void top_feed_open(struct top_feed *feed, const char *pool) {
    pthread_mutex_lock(&feed->lock);
    snprintf(feed->pool, sizeof feed->pool, "%s", pool);
    feed->opened++;
    pthread_cond_broadcast(&feed->changed);
    pthread_mutex_unlock(&feed->lock);
}

static bool join_until(pthread_t thread, const struct timespec *until) {
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, until) == 0;
}

bool top_feed_stop(struct top_feed *feed, int wait_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000 + 1;
    pthread_mutex_lock(&feed->lock);
    feed->stopped = true;
    pthread_cond_broadcast(&feed->changed);
    pthread_mutex_unlock(&feed->lock);
    if (!join_until(feed->redis, &until) || !join_until(feed->kafka, &until)) return false;
    pthread_cond_destroy(&feed->changed);
    pthread_mutex_destroy(&feed->lock);
    top_news_done(&feed->news);
    free(feed);
    return true;
}
