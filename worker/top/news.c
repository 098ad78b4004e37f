/* The list of news: see news.h. */
#include "top/news.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "core/buf.h"

void top_news_init(struct top_news *news) {
    *news = (struct top_news){.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    news->end = &news->first;
    wp_assert(pthread_mutex_init(&news->lock, NULL) == 0);
}

static void free_item(struct top_news_item *item) {
    json_decref(item->json);
    free(item->text);
    free(item);
}

void top_news_done(struct top_news *news) {
    while (news->first) {
        struct top_news_item *item = news->first;
        news->first = item->next;
        free_item(item);
    }
    if (news->wake >= 0) close(news->wake);
    pthread_mutex_destroy(&news->lock);
}

enum { RECORDS_MOST = 1000 };

static int most_of(enum top_news_kind kind) {
    return kind == TOP_NEWS_METRICS || kind == TOP_NEWS_ASSIGNMENT ? RECORDS_MOST : 1;
}

/* Removes the oldest item of the kind. */
static void drop_oldest(struct top_news *news, enum top_news_kind kind) {
    struct top_news_item **at = &news->first;
    while ((*at)->kind != kind) at = &(*at)->next;
    struct top_news_item *item = *at;
    *at = item->next;
    if (!item->next) news->end = at;
    news->counts[kind]--;
    free_item(item);
}

void top_news_post(struct top_news *news, enum top_news_kind kind, json_t *json, const char *text,
                   int64_t at_ms) {
    const uint64_t one = 1;
    struct top_news_item *item = wp_calloc(1, sizeof *item);
    *item = (struct top_news_item){kind, json, text ? wp_strdup(text) : NULL, at_ms, NULL};
    pthread_mutex_lock(&news->lock);
    *news->end = item;
    news->end = &item->next;
    if (++news->counts[kind] > most_of(kind)) drop_oldest(news, kind);
    pthread_mutex_unlock(&news->lock);
    if (news->wake >= 0 && write(news->wake, &one, sizeof one) < 0) return; /* it is readable already */
}

static void apply(struct top_model *model, const struct top_news_item *item, int64_t now_ms) {
    switch (item->kind) {
    case TOP_NEWS_POOL_STATS:
        top_model_pool_stats(model, item->json);
        break;
    case TOP_NEWS_HOSTS:
        top_model_hosts(model, item->json);
        break;
    case TOP_NEWS_CACHE_STATS:
        top_model_cache_stats(model, item->json);
        break;
    case TOP_NEWS_CONTAINERS:
        top_model_containers(model, item->text, item->json);
        break;
    case TOP_NEWS_WAITING:
        top_model_waiting(model, item->text, item->json);
        break;
    case TOP_NEWS_METRICS:
        top_model_metrics(model, item->json, item->at_ms, now_ms);
        break;
    case TOP_NEWS_ASSIGNMENT:
        top_model_assignment(model, item->json, item->at_ms);
        break;
    case TOP_NEWS_REDIS:
        snprintf(model->redis, sizeof model->redis, "%s", item->text);
        break;
    case TOP_NEWS_KAFKA:
        snprintf(model->kafka, sizeof model->kafka, "%s", item->text);
        break;
    case TOP_NEWS_KINDS:
        break;
    }
}

bool top_news_take(struct top_news *news, struct top_model *model, int64_t now_ms) {
    uint64_t count;
    if (news->wake >= 0 && read(news->wake, &count, sizeof count) < 0) count = 0;
    pthread_mutex_lock(&news->lock);
    struct top_news_item *item = news->first;
    news->first = NULL;
    news->end = &news->first;
    memset(news->counts, 0, sizeof news->counts);
    pthread_mutex_unlock(&news->lock);
    bool any = item != NULL;
    while (item) {
        struct top_news_item *next = item->next;
        apply(model, item, now_ms);
        free_item(item);
        item = next;
    }
    return any;
}
