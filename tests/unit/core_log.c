#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/log.h"

/* Each Criterion test is a process of its own, so stderr can be put into a file for good. */
static char path[] = "/tmp/warmpool-log-XXXXXX";

static void setup(void) {
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static char *logged;

static void read_log(void) {
    struct wp_buf text = {0};
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    for (int c; (c = getc(file)) != EOF;) wp_buf_add(&text, &(char){(char)c}, 1);
    fclose(file);
    wp_buf_add(&text, "", 1);
    free(logged);
    logged = text.data;
}

static void teardown(void) {
    unlink(path);
    free(logged);
}

TestSuite(log, .init = setup, .fini = teardown);

/* What follows the event's name in the only line. */
static const char *fields(void) {
    read_log();
    const char *at = strstr(logged, " event=e ");
    cr_assert_not_null(at, "%s", logged);
    return at + strlen(" event=e ");
}

Test(log, a_line_has_time_level_event_and_fields) {
    wp_log(WP_LOG_WARN, "kafka_ready", "brokers=%s partitions=%d", "b:9092", 6);
    read_log();
    int year, month, day, hour, minute, second, ms, end = 0;
    cr_assert_eq(sscanf(logged, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute,
                        &second, &ms, &end),
                 7);
    cr_assert_str_eq(logged + end, " level=warn event=kafka_ready brokers=b:9092 partitions=6\n");
}

Test(log, an_event_without_fields_ends_after_its_name) {
    wp_log(WP_LOG_INFO, "stopped", "%s", "");
    read_log();
    cr_assert_not_null(strstr(logged, " event=stopped \"\"\n"));
}

Test(log, numbers_of_every_width) {
    wp_log(WP_LOG_INFO, "e", "a=%d b=%u c=%lld d=%llu f=%zu g=%ld h=%lu i=%x", -1, 2u, -3LL, 4ULL, (size_t)5,
           -6L, 7UL, 255u);
    cr_assert_str_eq(fields(), "a=-1 b=2 c=-3 d=4 f=5 g=-6 h=7 i=ff\n");
}

Test(log, extreme_numbers_are_whole) {
    wp_log(WP_LOG_INFO, "e", "a=%lld b=%llu", -9223372036854775807LL - 1, 18446744073709551615ULL);
    cr_assert_str_eq(fields(), "a=-9223372036854775808 b=18446744073709551615\n");
}

Test(log, floats_with_and_without_precision) {
    wp_log(WP_LOG_INFO, "e", "a=%f b=%.1f c=%.0f share=%d%%", 0.5, 2.25, 3.0, 90);
    cr_assert_str_eq(fields(), "a=0.500000 b=2.2 c=3 share=90%\n");
}

Test(log, texts_of_a_given_length_need_no_end) {
    char unterminated[4] = {'a', 'b', 'c', 'd'};
    wp_log(WP_LOG_INFO, "e", "a=%.*s b=%.2s c=%s", 3, unterminated, "xyz", "plain/text:1");
    cr_assert_str_eq(fields(), "a=abc b=xy c=plain/text:1\n");
}

Test(log, texts_that_could_be_misread_are_quoted_and_escaped) {
    wp_log(WP_LOG_INFO, "e", "a=%s b=%s c=%s d=%s e=%s", "two words", "say \"hi\"", "k=v", "", "back\\slash");
    cr_assert_str_eq(fields(), "a=\"two words\" b=\"say \\\"hi\\\"\" c=\"k=v\" d=\"\" e=\"back\\\\slash\"\n");
}

Test(log, a_hostile_text_cannot_begin_a_line_of_its_own) {
    wp_log(WP_LOG_INFO, "e", "id=%s", "x\nts=1 level=error\r\t\x1b[31m\x7f");
    const char *found = fields();
    cr_assert_str_eq(found, "id=\"x\\nts=1 level=error\\r\\t\\x1b[31m\\x7f\"\n");
}

Test(log, utf8_is_kept_and_other_bytes_are_spelled_out) {
    wp_log(WP_LOG_INFO, "e", "a=%s b=%s", "caf\xc3\xa9", "\xff\xc3");
    cr_assert_str_eq(fields(), "a=caf\xc3\xa9 b=\"\\xff\\xc3\"\n");
}

Test(log, a_control_character_of_two_bytes_reaches_no_terminal) {
    wp_log(WP_LOG_INFO, "e", "a=%s b=%s",
           "x\xc2\x9b"
           "31m",
           "\xc2\xa0");
    cr_assert_str_eq(fields(), "a=\"x\\u009b31m\" b=\xc2\xa0\n");
}

Test(log, a_long_text_is_cut_before_a_character) {
    char text[3000];
    memset(text, 'x', sizeof(text));
    memcpy(text + 1023, "\xc3\xa9", 2);
    text[2999] = '\0';
    wp_log(WP_LOG_INFO, "e", "a=%s b=%d", text, 1);
    const char *found = fields();
    cr_assert_eq(strlen(found), strlen("a=\"") + 1023 + strlen("...\" b=1\n"));
    cr_assert_not_null(strstr(found, "x...\" b=1\n"));
}

Test(log, a_missing_text_is_an_empty_one) {
    const char *volatile nothing = NULL;
    wp_log(WP_LOG_INFO, "e", "a=%s", nothing);
    cr_assert_str_eq(fields(), "a=\"\"\n");
}

Test(log, lines_below_the_level_are_left_out) {
    wp_log_set_level(WP_LOG_WARN);
    cr_assert_eq(wp_log_level(), WP_LOG_WARN);
    wp_log(WP_LOG_INFO, "quiet", "a=%d", 1);
    wp_log(WP_LOG_ERROR, "loud", "a=%d", 2);
    read_log();
    cr_assert_null(strstr(logged, "quiet"));
    cr_assert_not_null(strstr(logged, "level=error event=loud a=2\n"));
}

Test(log, levels_are_parsed_by_name) {
    enum wp_log_level level = WP_LOG_INFO;
    cr_assert_eq(wp_log_parse_level("debug", &level), WP_OK);
    cr_assert_eq(level, WP_LOG_DEBUG);
    cr_assert_eq(wp_log_parse_level("error", &level), WP_OK);
    cr_assert_eq(level, WP_LOG_ERROR);
    cr_assert_eq(wp_log_parse_level("loud", &level), WP_ERR_CONFIG);
    cr_assert_eq(level, WP_LOG_ERROR);
}

Test(log, logging_leaves_errno_alone) {
    int readers[2];
    cr_assert_eq(pipe(readers), 0);
    close(STDERR_FILENO); /* so that the write fails */
    errno = ENOENT;
    wp_log(WP_LOG_INFO, "e", "a=%d", 1);
    cr_assert_eq(errno, ENOENT);
}

static void *log_many(void *name) {
    for (int i = 0; i < 500; i++)
        wp_log(WP_LOG_INFO, "e", "from=%s text=%s", (const char *)name, "some words here");
    return NULL;
}

Test(log, a_line_that_nobody_reads_is_dropped_and_counted, .timeout = 30) {
    int ends[2];
    char text[200] = "";
    cr_assert_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 3000; i++) wp_log(WP_LOG_INFO, "e", "number=%d", i); /* more than a pipe takes */
    wp_log_signal_safe(WP_LOG_WARN, "x", "y");
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    unsigned lines = 0, dropped = 0;
    char bytes[4096];
    for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < n; i++) lines += bytes[i] == '\n';
    wp_log(WP_LOG_INFO, "e", "text=%s", "again");
    cr_assert_gt(read(ends[0], text, sizeof text - 1), 0);
    const char *count = strstr(text, " text=again log_lines_dropped=");
    cr_assert_not_null(count, "%s", text);
    cr_assert_eq(sscanf(count, " text=again log_lines_dropped=%u", &dropped), 1);
    cr_assert_eq(lines + dropped, 3000);
    wp_log(WP_LOG_INFO, "e", "text=%s", "last");
    memset(text, 0, sizeof text);
    cr_assert_gt(read(ends[0], text, sizeof text - 1), 0);
    cr_assert_null(strstr(text, "dropped"));
}

Test(log, lines_of_two_threads_do_not_mix) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    dup2(fd, STDERR_FILENO);
    close(fd);
    pthread_t other;
    char a[] = "a", b[] = "b";
    cr_assert_eq(pthread_create(&other, NULL, log_many, a), 0);
    log_many(b);
    pthread_join(other, NULL);
    read_log();
    int lines = 0;
    for (char *at = logged; *at;) {
        char *end = strchr(at, '\n');
        cr_assert_not_null(end);
        *end = '\0';
        cr_assert(strncmp(at, "ts=", 3) == 0 && strstr(at, " text=\"some words here\""), "%s", at);
        at = end + 1;
        lines++;
    }
    cr_assert_eq(lines, 1000);
}

/* ---- JSON ---- */

/* The only line, and what it has. */
static json_t *object(void) {
    json_error_t why;
    read_log();
    cr_assert_eq(strchr(logged, '\n'), logged + strlen(logged) - 1, "one line: %s", logged);
    json_t *json = json_loads(logged, JSON_REJECT_DUPLICATES, &why);
    cr_assert_not_null(json, "%s: %s", why.text, logged);
    return json;
}

static const char *text(const char *key) {
    return json_string_value(json_object_get(object(), key));
}

static void begin_json(void) {
    setup();
    wp_log_set_format(WP_LOG_JSON);
}
TestSuite(log_json, .init = begin_json, .fini = teardown);

Test(log_json, a_line_is_an_object_with_the_same_names) {
    wp_log(WP_LOG_WARN, "kafka_ready", "brokers=%s partitions=%d share=%.2f more=%zu", "b:9092", 6, 0.5,
           (size_t)3);
    json_t *json = object();
    cr_assert_eq(json_object_size(json), 7);
    cr_assert_eq(strlen(json_string_value(json_object_get(json, "ts"))), strlen("2026-01-02T03:04:05.678Z"));
    cr_assert_str_eq(json_string_value(json_object_get(json, "level")), "warn");
    cr_assert_str_eq(json_string_value(json_object_get(json, "event")), "kafka_ready");
    cr_assert_str_eq(json_string_value(json_object_get(json, "brokers")), "b:9092");
    cr_assert_eq(json_integer_value(json_object_get(json, "partitions")), 6);
    cr_assert_eq(json_real_value(json_object_get(json, "share")), 0.5);
    cr_assert_eq(json_integer_value(json_object_get(json, "more")), 3);
}

Test(log_json, what_is_not_one_number_is_text) {
    wp_log(WP_LOG_INFO, "e", "address=[%s]:%s share=%d%% from=%d-%d hash=%x fixed=7 far=%f", "::1", "80", 90,
           1, 2, 10u, (double)INFINITY);
    cr_assert_str_eq(text("address"), "[::1]:80");
    cr_assert_str_eq(text("share"), "90%");
    cr_assert_str_eq(text("from"), "1-2");
    cr_assert_str_eq(text("hash"), "a");
    cr_assert_str_eq(text("fixed"), "7");
    cr_assert_str_eq(text("far"), "inf");
}

Test(log_json, any_text_is_escaped) {
    const char *volatile missing = NULL;
    wp_log(WP_LOG_INFO, "e", "a=%s b=%s c=%s d=%.*s e=%s", "say \"no\"\\\n\t\x01\x7f", "ä€\U0001f600",
           "\xff-\xc3", 2, "abc", missing);
    cr_assert_str_eq(text("a"), "say \"no\"\\\n\t\x01\x7f");
    cr_assert_str_eq(text("b"), "ä€\U0001f600");
    cr_assert_str_eq(text("c"), "\ufffd-\ufffd");
    cr_assert_str_eq(text("d"), "ab");
    cr_assert_str_eq(text("e"), "");
    cr_assert_null(strchr(logged, '\x7f'));
}

Test(log_json, a_line_that_would_be_too_long_is_shortened_and_stays_whole) {
    char quotes[3000];
    memset(quotes, '"', sizeof quotes);
    quotes[sizeof quotes - 1] = '\0';
    wp_log(WP_LOG_INFO, "e", "a=%s b=%s c=%s d=%d", quotes, quotes, quotes, 4);
    json_t *json = object();
    cr_assert_leq(strlen(logged), PIPE_BUF);
    cr_assert_eq(json_integer_value(json_object_get(json, "d")), 4);
    cr_assert_gt(strlen(text("a")), 200);
    cr_assert_str_eq(text("a") + strlen(text("a")) - 4, "\"...");
}

Test(log_json, a_signal_handlers_line_is_an_object_too) {
    wp_log_signal_safe(WP_LOG_WARN, "stop_timeout", "something blocked");
    cr_assert_str_eq(text("reason"), "something blocked");
    cr_assert_str_eq(text("event"), "stop_timeout");
}

/* ---- systemd's journal ---- */

static void name_journal(long offset) {
    struct stat own;
    char name[64];
    cr_assert_eq(fstat(STDERR_FILENO, &own), 0);
    snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)own.st_dev,
             (unsigned long long)own.st_ino + (unsigned long long)offset);
    setenv("JOURNAL_STREAM", name, 1);
}

Test(log, in_the_journal_each_line_begins_with_its_level) {
    name_journal(0);
    wp_log_set_level(WP_LOG_DEBUG);
    for (int level = WP_LOG_DEBUG; level <= WP_LOG_ERROR; level++)
        wp_log((enum wp_log_level)level, "e", "%s", "");
    wp_log_signal_safe(WP_LOG_WARN, "e", "y");
    read_log();
    static const char *const begins[] = {
        "<7>ts=", "<6>ts=", "<4>ts=", "<3>ts=", "<4>level=warn event=e reason=\"y\"\n"};
    const char *at = logged;
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(strncmp(at, begins[i], strlen(begins[i])), 0, "%s", at);
        at = strchr(at, '\n') + 1;
    }
}

Test(log_json, in_the_journal_too) {
    name_journal(0);
    wp_log(WP_LOG_ERROR, "e", "a=%d", 1);
    read_log();
    cr_assert_eq(strncmp(logged, "<3>{\"ts\"", 8), 0, "%s", logged);
}

Test(log, another_standard_error_than_the_journal_gets_no_prefix) {
    name_journal(1);
    wp_log(WP_LOG_ERROR, "e", "a=%d", 1);
    read_log();
    cr_assert_eq(strncmp(logged, "ts=", 3), 0, "%s", logged);
}
