/* The readings of the last minute and their differences: see rates.h. */
#include "top/rates.h"
#include <stddef.h>
#include <string.h>

enum { MINUTE_MS = 60000, SLACK_MS = 6000, APART_MS = 2000 };

static const char *const counters[] = {"warm_starts", "cold_starts", "rejected", "lost", "waiting", NULL};
static const char *const lookups[] = {"hits", "misses", NULL};

static double number(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static json_t *take(const json_t *from, const char *const *names) {
    json_t *object = json_object();
    for (; *names; names++) json_object_set_new(object, *names, json_real(number(from, *names)));
    return object;
}

static json_t *take_each(json_t *from, const char *const *names) {
    json_t *all = json_object(), *each;
    const char *name;
    json_object_foreach(from, name, each) json_object_set_new(all, name, take(each, names));
    return all;
}

static void sample_done(struct top_sample *sample) {
    json_decref(sample->pools);
    json_decref(sample->total);
    json_decref(sample->cache);
}

static void remove_at(struct top_rates *rates, int i) {
    sample_done(&rates->samples[i]);
    rates->count--;
    memmove(&rates->samples[i], &rates->samples[i + 1],
            (size_t)(rates->count - i) * sizeof rates->samples[0]);
}

void top_rates_done(struct top_rates *rates) {
    while (rates->count > 0) remove_at(rates, rates->count - 1);
}

static const struct top_sample *newest(const struct top_rates *rates) {
    return rates->count > 0 ? &rates->samples[rates->count - 1] : NULL;
}

static double started(const json_t *total) {
    return number(total, "warm_starts") + number(total, "cold_starts");
}

/* A place for a reading of that time; -1: it is not needed. The newest gives way to one that is newer by less
 * than APART_MS, unless it is the only one. */
static int place_for(struct top_rates *rates, int64_t at_ms) {
    int i = rates->count;
    while (i > 0 && rates->samples[i - 1].at_ms > at_ms) i--;
    bool last = i == rates->count;
    if (last && i > 1 && at_ms - rates->samples[i - 2].at_ms < APART_MS) {
        remove_at(rates, --i);
    } else if (!last && ((i > 0 && at_ms - rates->samples[i - 1].at_ms < APART_MS) ||
                         rates->samples[i].at_ms - at_ms < APART_MS)) {
        return -1;
    }
    if (rates->count < TOP_SAMPLES) return i;
    if (i == 0) return -1;
    remove_at(rates, 0);
    return i - 1;
}

/* Keeps the last one that is a minute old; where it is far older, as after an outage, those behind it. */
static void forget_old(struct top_rates *rates) {
    int64_t now = newest(rates)->at_ms;
    while (rates->count > 2 && (now - rates->samples[1].at_ms >= MINUTE_MS ||
                                now - rates->samples[0].at_ms > MINUTE_MS + SLACK_MS))
        remove_at(rates, 0);
}

/* True when a reading of the past has more than a later one: Redis has lost its data in between. */
static bool is_before_a_loss(const struct top_rates *rates, int at, json_t *total) {
    return at < rates->count && started(total) > started(rates->samples[at].total);
}

void top_rates_add(struct top_rates *rates, int64_t at_ms, json_t *pools, json_t *total, json_t *namespaces) {
    const struct top_sample *last = newest(rates);
    if (last && at_ms >= last->at_ms && started(total) < started(last->total)) top_rates_done(rates);
    int at = place_for(rates, at_ms);
    if (at < 0 || is_before_a_loss(rates, at, total)) return;
    memmove(&rates->samples[at + 1], &rates->samples[at],
            (size_t)(rates->count - at) * sizeof rates->samples[0]);
    rates->samples[at] = (struct top_sample){at_ms, take_each(pools, counters), take(total, counters),
                                             namespaces ? take_each(namespaces, lookups) : NULL};
    rates->count++;
    forget_old(rates);
}

int64_t top_rates_span_ms(const struct top_rates *rates) {
    return rates->count > 1 ? newest(rates)->at_ms - rates->samples[0].at_ms : 0;
}

static double grown(const json_t *now, const json_t *before, const char *name) {
    return number(now, name) - number(before, name);
}

static double positive(double value) {
    return value > 0 ? value : 0;
}

struct top_rate top_rates_of(const struct top_rates *rates, const char *philosophy) {
    int64_t span = top_rates_span_ms(rates);
    if (span <= 0) return (struct top_rate){.arrivals = -1};
    const struct top_sample *first = &rates->samples[0], *last = newest(rates);
    const json_t *before = philosophy ? json_object_get(first->pools, philosophy) : first->total,
                 *now = philosophy ? json_object_get(last->pools, philosophy) : last->total;
    struct top_rate rate = {.warm = positive(grown(now, before, "warm_starts")),
                            .rejected = positive(grown(now, before, "rejected")),
                            .lost = positive(grown(now, before, "lost"))};
    rate.starts = rate.warm + positive(grown(now, before, "cold_starts"));
    double arrived = rate.starts + rate.rejected + grown(now, before, "waiting");
    rate.arrivals = positive(arrived) * MINUTE_MS / (double)span;
    return rate;
}

static void add_lookups(const json_t *each, const json_t *before, double *hits, double *all) {
    double more = positive(grown(each, before, "hits"));
    *hits += more;
    *all += more + positive(grown(each, before, "misses"));
}

double top_rates_hits(const struct top_rates *rates, const char *name) {
    const json_t *first = NULL;
    json_t *last = NULL, *each;
    double hits = 0, all = 0;
    for (int i = 0; i < rates->count; i++) {
        if (!rates->samples[i].cache) continue;
        if (!first) first = rates->samples[i].cache;
        last = rates->samples[i].cache;
    }
    const char *key;
    json_object_foreach(last, key, each) {
        if (!name || strcmp(name, key) == 0) add_lookups(each, json_object_get(first, key), &hits, &all);
    }
    return all > 0 ? 100 * hits / all : -1;
}
