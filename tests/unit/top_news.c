/* The list between the threads of `warmpool top`: it is bounded while nobody takes anything. */
#include "support/top_world.h"
#include <criterion/criterion.h>
#include <poll.h>
#include "top/news.h"

static bool is_readable(int fd) {
    struct pollfd from = {fd, POLLIN, 0};
    return poll(&from, 1, 0) == 1;
}

static int length_of(const struct top_news *news) {
    int count = 0;
    for (const struct top_news_item *item = news->first; item; item = item->next) count++;
    return count;
}

Test(top_news, only_the_latest_of_what_replaces_is_kept_and_records_are_bounded) {
    struct top_news news;
    struct top_model model;
    top_model_init(&model);
    top_news_init(&news);
    cr_expect(!is_readable(news.wake));
    for (int i = 0; i < 5000; i++) {
        json_t *stats = json_pack("{s:i,s:{s:{}}}", "now", i, "pools", "react");
        top_news_post(&news, TOP_NEWS_POOL_STATS, stats, NULL, 0);
        top_news_post(&news, TOP_NEWS_METRICS, top_json("{'worker':{'id':'w'}}"), NULL, i);
        top_news_post(&news, TOP_NEWS_REDIS, NULL, i % 2 ? "away" : "", 0);
    }
    cr_expect_leq(length_of(&news), 1010);
    cr_expect(is_readable(news.wake));
    cr_expect(top_news_take(&news, &model, 5000));
    cr_expect(!is_readable(news.wake));
    cr_expect_eq(model.now_ms, 4999);
    cr_expect_str_eq(model.redis, "away");
    cr_expect_eq(json_array_size(model.rows[TOP_POOLS]), 1);
    cr_expect(!top_news_take(&news, &model, 5000), "nothing is left");
    top_news_post(&news, TOP_NEWS_REDIS, NULL, "", 0);
    cr_expect(top_news_take(&news, &model, 5000), "the list goes on");
    cr_expect_str_eq(model.redis, "");
    top_news_post(&news, TOP_NEWS_KAFKA, NULL, "freed with the list", 0);
    top_news_done(&news);
    top_model_done(&model);
}
