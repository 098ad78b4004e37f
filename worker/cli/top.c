/* `warmpool top`: a live view of pools, hosts, tenants, cache, workers and warnings; with --once one screen
 * as plain text. */
#include "cli/command.h"
#include "cli/options.h"
#include "core/clock.h"
#include "core/log.h"
#include "store/connect.h"
#include "store/url.h"
#include "top/feed.h"
#include "top/kafka_source.h"
#include "top/redis_source.h"
#include "top/terminal.h"
#include "top/view.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    STOP_MS = 1000,
    KAFKA_MS = 5000, /* for --once: to be connected, and to read the last minute */
    PIPE_COLS = 120,
};

static bool once;
static const char *interval_text = "2";

static const struct wp_option options[] = {
    {"once", NULL, "print the figures as plain text and end: for pipes, scripts and simple terminals", &once},
    {"interval", "SECONDS", "how often Redis is read, 0.5 to 3600 (2)", &interval_text},
    {0},
};

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_top = {
    .name = "top",
    .summary = "watch pools, hosts, tenants, cache, workers and warnings",
    .arguments = "",
    .text = "Shows what is going on, and keeps it up to date: pools with what they have of what they may "
            "have, requests a minute and how many of them were warm, who waits and how long, hosts, tenants, "
            "cache, consumer lag, warnings. Enter opens a pool, ? lists the keys, q quits.",
    .examples = "warmpool top -c warmpool.ini\nwarmpool top --once | head -20",
    .options = options,
    .run = run_subcommand,
};

static enum wp_err read_interval(double *ret_s, struct wp_error *error) {
    char *end;
    errno = 0;
    *ret_s = strtod(interval_text, &end);
    if (end != interval_text && *end == '\0' && !errno && *ret_s >= 0.5 && *ret_s <= 3600) return WP_OK;
    return wp_fail(error, WP_ERR_CONFIG, "--interval must be 0.5 to 3600 seconds, not %s", interval_text);
}

/* Where the figures come from, without passwords. Owned by the caller. */
static char *describe(const struct wp_config *config) {
    const char *text, *key = wp_redis_url_key(config, WP_SLOT_POOL, &text);
    struct wp_redis_url url;
    if (wp_redis_url_parse(&url, key, text, NULL)) return wp_strdup("");
    char *where = wp_format("%s %s", url.shown, config->redis.prefix);
    wp_redis_url_done(&url);
    return where;
}

static void print_clock(char *out, size_t size) {
    time_t now = (time_t)(wp_clock_wall_ms() / 1000);
    struct tm parts;
    if (!localtime_r(&now, &parts) || strftime(out, size, "%H:%M:%S", &parts) == 0) out[0] = '\0';
}

/* ---- once ---- */

/* Without the last minute of metrics there are no rates: what is away is said on the screen. */
static void read_metrics(const struct wp_config *config, struct top_news *news) {
    struct top_kafka kafka = {.config = config};
    struct wp_error error;
    if (top_kafka_open(&kafka, KAFKA_MS, &error)) {
        top_news_post(news, TOP_NEWS_KAFKA, NULL, error.text, 0);
    } else {
        int64_t until_us = wp_clock_us() + (int64_t)KAFKA_MS * 1000;
        while (!wp_reader_caught_up(&kafka.metrics) && wp_clock_us() < until_us)
            top_kafka_take(&kafka, 100, news);
    }
    top_kafka_close(&kafka);
}

static int columns_of_output(void) {
    struct winsize size;
    const char *text = getenv("COLUMNS");
    int cols = text ? atoi(text) : 0;
    if (cols <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) cols = size.ws_col;
    return cols > 0 ? cols : PIPE_COLS;
}

static void print_grid(const struct top_grid *grid) {
    (void)setlocale(LC_CTYPE, "");
    bool ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    struct wp_buf line = {0};
    int rows = grid->rows;
    for (int row = 0; row < rows; row++) {
        wp_buf_reset(&line);
        top_grid_row(grid, row, ascii, &line);
        wp_buf_add(&line, "\n", 1);
        (void)fwrite(line.data, 1, line.len, stdout);
    }
    wp_buf_done(&line);
}

static enum wp_err print_once(const struct wp_config *config, struct top_about *about,
                              struct wp_error *error) {
    struct top_redis redis = {.config = config};
    struct top_news news;
    struct top_model model;
    struct top_grid grid;
    top_news_init(&news);
    top_model_init(&model);
    enum wp_err err = top_redis_read(&redis, "", &news, error);
    if (!err) {
        read_metrics(config, &news);
        err = top_redis_read(&redis, "", &news, error);
    }
    if (!err) {
        (void)top_news_take(&news, &model, wp_clock_wall_ms());
        about->interval_s = 0;
        top_view_print(&grid, columns_of_output(), &model, about);
        print_grid(&grid);
        top_grid_done(&grid);
    }
    top_redis_close(&redis);
    top_model_done(&model);
    top_news_done(&news);
    return err;
}

/* ---- live ---- */

static void draw(const struct top_model *model, struct top_screen *screen, struct top_about *about) {
    char clock[16];
    struct top_grid grid;
    int rows, cols;
    print_clock(clock, sizeof clock);
    about->clock = clock;
    top_terminal_size(&rows, &cols);
    top_grid_init(&grid, rows, cols);
    top_view_draw(&grid, model, screen, about);
    top_terminal_draw(&grid);
    top_grid_done(&grid);
    about->clock = ""; /* it was of this frame */
}

static void take_keys(struct top_screen *screen, struct top_model *model, struct top_feed *feed) {
    uint32_t key;
    while (!screen->quit && (key = top_terminal_key()) != 0) top_screen_key(screen, model, key);
    if (strcmp(screen->pool, model->pool) == 0) return;
    top_model_open(model, screen->pool);
    top_feed_open(feed, screen->pool);
}

static void watch(struct top_feed *feed, struct top_about *about) {
    struct top_model model;
    struct top_screen screen;
    top_model_init(&model);
    top_screen_init(&screen);
    while (!screen.quit && !top_terminal_ended()) {
        draw(&model, &screen, about);
        top_terminal_wait(top_feed_news(feed)->wake, TICK_MS);
        take_keys(&screen, &model, feed);
        (void)top_news_take(top_feed_news(feed), &model, wp_clock_wall_ms());
        top_model_tick(&model, wp_clock_wall_ms());
    }
    top_model_done(&model);
}

static int run_live(const struct wp_config *config, struct top_about *about) {
    struct wp_error error = {0};
    if (top_terminal_open(&error)) return wp_options_fail(&wp_cli_top, WP_EXIT_FAILED, &error);
    struct top_feed *feed = top_feed_start(config, (int64_t)(about->interval_s * 1000));
    watch(feed, about);
    top_terminal_close();
    if (!top_feed_stop(feed, STOP_MS)) _exit(WP_EXIT_OK); /* a call of Redis or Kafka has not ended */
    return WP_EXIT_OK;
}

static int run_subcommand(int argc, char **argv) {
    struct wp_config config;
    struct wp_parsed parsed;
    struct wp_error error = {0};
    struct top_about about = {0};
    char clock[16];
    int code = WP_EXIT_OK;
    if (!wp_options_parse(&wp_cli_top, argc, argv, &config, &parsed, &code)) return code;
    char *where = describe(&config);
    print_clock(clock, sizeof clock);
    about.where = where;
    about.clock = clock;
    if (read_interval(&about.interval_s, &error))
        code = wp_options_fail(&wp_cli_top, WP_EXIT_USAGE, &error);
    else if (!once)
        code = run_live(&config, &about);
    else if (print_once(&config, &about, &error))
        code = wp_options_fail(&wp_cli_top, WP_EXIT_FAILED, &error);
    free(where);
    wp_config_done(&config);
    return code;
}
