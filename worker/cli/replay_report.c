/* Formats a replay's result: the live line, the closing table, the closing JSON. */
#include "cli/replay_report.h"

#include <math.h>

static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

static double round_to(double value, double steps) {
    return nearbyint(value * steps) / steps;
}

void wp_replay_print_line(const struct wp_replay_result *r, double seconds, int columns, FILE *out) {
    char line[256];
    int len =
        snprintf(line, sizeof line,
                 "%4.0f s  last second: %5llu assigned, p50 %.1f, p99 %.1f ms   run: %llu assigned, "
                 "%.1f %% warm, p50 %.1f, p99 %.1f ms, rejected %llu, cache hits %.1f %%",
                 seconds, (unsigned long long)r->second.count, wp_histogram_percentile_ms(&r->second, 50),
                 wp_histogram_percentile_ms(&r->second, 99), (unsigned long long)r->assigned,
                 percent(r->warm, r->assigned), wp_histogram_percentile_ms(&r->acquire, 50),
                 wp_histogram_percentile_ms(&r->acquire, 99), (unsigned long long)r->rejected,
                 percent(r->hits, r->lookups));
    fprintf(out, "%.*s", columns > 0 && columns < len ? columns : len, line);
}

static void count_row(FILE *out, const char *what, uint64_t count, const char *more) {
    fprintf(out, "  %-28s %12llu  %s\n", what, (unsigned long long)count, more);
}

static void figure_row(FILE *out, const char *what, double value, const char *unit) {
    fprintf(out, "  %-28s %12.2f  %s\n", what, value, unit);
}

void wp_replay_print_table(const struct wp_replay_result *r, FILE *out) {
    fprintf(out, "\nWhat happened in %.1f s (%zu philosophies, %.0f events a second)\n", r->duration_seconds,
            r->philosophies, r->duration_seconds > 0 ? (double)r->events / r->duration_seconds : 0.0);
    count_row(out, "agents asked for a container", r->acquires, "");
    count_row(out, "assigned", r->assigned, "");
    count_row(out, "rejected", r->rejected, r->rejected_reason);
    count_row(out, "lost while held", r->lost, "");
    if (r->unanswered) count_row(out, "NOT ANSWERED", r->unanswered, "");
    figure_row(out, "warm starts", percent(r->warm, r->assigned), "%");
    figure_row(out, "acquire to assignment, p50", wp_histogram_percentile_ms(&r->acquire, 50), "ms");
    figure_row(out, "acquire to assignment, p99", wp_histogram_percentile_ms(&r->acquire, 99), "ms");
    count_row(out, "cache lookups", r->lookups, "");
    figure_row(out, "cache hits", percent(r->hits, r->lookups), "%");
    count_row(out, "predictions", r->predictions, "");
    count_row(out, "dead letters", r->dead_letters, r->dead_letter_reason);
}

static void set_count(json_t *object, const char *name, uint64_t value) {
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

json_t *wp_replay_json(const struct wp_replay_result *r) {
    json_t *object = json_object();
    set_count(object, "acquires", r->acquires);
    set_count(object, "assigned", r->assigned);
    set_count(object, "rejected", r->rejected);
    set_count(object, "lost", r->lost);
    set_count(object, "unanswered", r->unanswered);
    set_count(object, "repeated", r->repeated);
    json_object_set_new(object, "warm_start_rate_percent",
                        json_real(round_to(percent(r->warm, r->assigned), 100)));
    json_object_set_new(object, "acquire_p50_ms",
                        json_real(round_to(wp_histogram_percentile_ms(&r->acquire, 50), 1000)));
    json_object_set_new(object, "acquire_p99_ms",
                        json_real(round_to(wp_histogram_percentile_ms(&r->acquire, 99), 1000)));
    set_count(object, "cache_lookups", r->lookups);
    json_object_set_new(object, "cache_hit_rate_percent",
                        json_real(round_to(percent(r->hits, r->lookups), 100)));
    set_count(object, "predictions", r->predictions);
    set_count(object, "dead_letters", r->dead_letters);
    set_count(object, "philosophies", r->philosophies);
    set_count(object, "events", r->events);
    json_object_set_new(object, "duration_seconds", json_real(round_to(r->duration_seconds, 1000)));
    json_object_set_new(
        object, "events_per_second",
        json_real(round_to(r->duration_seconds > 0 ? (double)r->events / r->duration_seconds : 0.0, 10)));
    return object;
}
