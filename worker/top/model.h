/* What `warmpool top` knows: tables of rows, and a few sums, made of the answers of Redis' public functions
 * (redis/README.md) and of records. Pure; one thread.
 *
 * A row is a JSON object with the fields that tables.c names; those that are computed here are named beside
 * each table. */
#ifndef WP_TOP_MODEL_H
#define WP_TOP_MODEL_H
#include "top/rates.h"

enum top_table {
    TOP_POOLS, /* of wp_pool_stats; name, all, arrivals, warm_percent, rejected_lately, lost_lately; amiss: it
                  is draining or unavailable */
    TOP_HOSTS, /* of wp_hosts; name; amiss: it is not up */
    TOP_TENANTS,  /* of wp_pool_stats; name */
    TOP_CACHE,    /* namespaces of wp_cache_stats; name, hits_lately (percent) */
    TOP_WORKERS,  /* of the metrics topic: id, host, state, ago_ms, lag, lag_topic, events (a second), p99_ms,
                     rss_mb */
    TOP_WARNINGS, /* of the metrics topic: code, subject, message, advice, workers */
    TOP_PAGES,
    TOP_CONTAINERS = TOP_PAGES, /* of wp_pool_containers */
    TOP_WAITING,                /* of wp_waiting */
    TOP_ANSWERS, /* of container-assignment: status (rejected, lost, cold), request_id, agent_id, reason,
                    ago_ms */
    TOP_TABLES,
};

enum { TOP_NAME = 256 };

struct top_sums {
    struct top_rate rate; /* of all pools */
    int64_t span_ms;      /* that the rates cover; 0: none is known */
    int64_t idle, leased, creating, other, waiting;
    double oldest_ms; /* of the request that has waited longest; 0: none waits */
    char oldest_pool[TOP_NAME + 1];
    int hosts, hosts_up;
    int64_t capacity, used;           /* containers on hosts that are up */
    double memory_mb, memory_used_mb; /* of those; memory_mb 0: one has no limit */
    int64_t entries, max_entries, bytes, max_bytes;
    double hits;                  /* percent within the span; below 0: no lookup */
    int workers;                  /* whose records come */
    int64_t lag;                  /* events of all input topics that no worker has taken */
    char lag_topic[TOP_NAME + 1]; /* the one with most of them */
};

struct top_model {
    json_t *rows[TOP_TABLES]; /* owned arrays */
    struct top_sums sums;
    char pool[TOP_NAME + 1]; /* whose containers, waiting requests and answers are shown; empty: none */
    bool more_containers;    /* the pool has more than are in the table */
    bool has_pools;          /* Redis has answered */
    int64_t now_ms;          /* Redis' clock at the latest answer, ms since 1970 */
    char redis[512];         /* why there are no new figures; empty: there are */
    char kafka[512];         /* the same of the metrics topic */
    struct top_rates rates;
    json_t
        *workers; /* owned: worker -> its latest record, at (by the caller's clock), period, events_before */
};

void top_model_init(struct top_model *model);
void top_model_done(struct top_model *model);

/* Answers of Redis; all borrowed. pool_stats: all pages as one. hosts: of wp_hosts. */
void top_model_pool_stats(struct top_model *model, json_t *pool_stats);
void top_model_hosts(struct top_model *model, json_t *hosts);
void top_model_cache_stats(struct top_model *model, json_t *cache_stats);
/* Those of the opened pool; of another one they are left out. */
void top_model_containers(struct top_model *model, const char *pool, json_t *page);
void top_model_waiting(struct top_model *model, const char *pool, json_t *page);

/* Shows another pool; "": none. Its tables begin empty. */
void top_model_open(struct top_model *model, const char *pool);

/* Records; borrowed. at_ms: when it was published, now_ms: now, both ms since 1970 by one clock. */
void top_model_metrics(struct top_model *model, json_t *record, int64_t at_ms, int64_t now_ms);
void top_model_assignment(struct top_model *model, json_t *record, int64_t at_ms);
/* Brings what depends on the time up to date: ages, workers that have gone silent. */
void top_model_tick(struct top_model *model, int64_t now_ms);

#endif
