/* The screens of `warmpool top` as text, in several sizes. */
#include "support/top_world.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct top_model model;
static struct top_screen screen;

static void start(void) {
    top_model_init(&model);
    top_screen_init(&screen);
    top_world_fill(&model);
}
static void stop(void) {
    top_model_done(&model);
}
TestSuite(top_view, .init = start, .fini = stop);

static void expect(const char *text, const char *part) {
    cr_expect(strstr(text, part), "the screen has no \"%s\":\n%s", part, text);
}
static void expect_not(const char *text, const char *part) {
    cr_expect(!strstr(text, part), "the screen has \"%s\":\n%s", part, text);
}

static void type(const char *keys) {
    for (; *keys; keys++) top_screen_key(&screen, &model, (unsigned char)*keys);
}

static int line_count(const char *text) {
    int count = 0;
    for (; *text; text++) count += *text == '\n';
    return count;
}

Test(top_view, eighty_by_twenty_four_has_all_of_a_small_system) {
    const char *text = top_drawn(&model, &screen, 24, 80);
    cr_expect_eq(line_count(text), 24);
    expect(text, "warmpool top  redis://localhost:6379 wp");
    expect(text, "every 2 s  16:30:05");
    expect(text, "waiting 4, oldest 4.2 s (react)");
    expect(text, "11 idle  30 leased  2 making  hosts 1 up, 1 not  30/40  8.0/16 GB");
    expect(text, "150/1000 entries");
    expect(text, "1 pools:4  2 hosts:3  3 tenants:2");
    cr_expect_str_eq(top_line("react "),
                     " react         [####=~+ ]  16/20     4     10      2     3   4.2 s      -     -");
    cr_expect_str_eq(top_line("full "),
                     ">full          [########]  20/20     0     20      0     1   0.9 s      -     -");
    expect(top_line("unbounded "), "]      1 ");
    expect(text, " 2 hosts:3");
    expect(text, "? help   q quit");
}

Test(top_view, forty_by_ten_keeps_what_matters_most) {
    const char *text = top_drawn(&model, &screen, 10, 40);
    cr_expect_eq(line_count(text), 10);
    expect(text, "requests");
    expect(top_line("react "), "react");
    expect(top_line("POOL"), "IDLE");
    expect(top_line("POOL"), "WAIT");
    expect_not(text, "PAUSED");
    expect(text, " Enter open");
}

Test(top_view, two_hundred_by_sixty_shows_the_other_tables_too) {
    const char *text = top_drawn(&model, &screen, 60, 200);
    cr_expect_eq(line_count(text), 60);
    for (size_t i = 0; i < 4; i++) {
        static const char *const parts[] = {"REJECTED", "OUTDATED", "HEARTBEAT", "NAMESPACE"};
        expect(text, parts[i]);
    }
    expect(top_line("host-2 "), "!host-2");
    expect(top_line("host-2 "), "silent");
    expect(top_line("host-3 "), "gone");
    expect(top_line("red "), "4/4");
    expect(top_line("tool "), "90.0");
}

Test(top_view, any_size_is_drawn) {
    static const int sides[] = {1, 2, 3, 5, 9, 15, 16, 31, 33, 79, 200};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        for (size_t k = 0; k < sizeof sides / sizeof sides[0]; k++) {
            cr_expect_eq(line_count(top_drawn(&model, &screen, sides[i], sides[k])), sides[i]);
            screen.help = true;
            (void)top_drawn(&model, &screen, sides[i], sides[k]);
            screen.help = false;
        }
    }
}

Test(top_view, keys_choose_scroll_and_open) {
    char name[24];
    json_t *stats = json_object(), *pools = json_object();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "p%03d", i);
        json_object_set_new(pools, name, json_pack("{s:i}", "available", i));
    }
    json_object_set_new(stats, "pools", pools);
    top_model_pool_stats(&model, stats);
    json_decref(stats);
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("p000"), ">p000");
    for (int i = 0; i < 30; i++) top_screen_key(&screen, &model, TOP_KEY_DOWN);
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("p030"), ">p030");
    cr_expect_str_eq(top_line("p000"), "", "it has scrolled away");
    type("G");
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("p099"), ">p099");
    top_screen_key(&screen, &model, TOP_KEY_PAGE_UP);
    (void)top_drawn(&model, &screen, 24, 80);
    cr_expect_str_neq(top_line("p099"), "", "a page up is less than a screen");
    type("g\n");
    cr_expect_str_eq(screen.pool, "p000");
    top_model_open(&model, screen.pool);
    expect(top_drawn(&model, &screen, 24, 80), "pool p000");
    top_screen_key(&screen, &model, TOP_KEY_ESCAPE);
    cr_expect_str_eq(screen.pool, "");
}

Test(top_view, the_chosen_row_stays_chosen_while_the_order_changes) {
    type("j");
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("idle_one"), ">idle_one");
    type("r");
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("idle_one"), ">idle_one");
    expect(top_line("POOL"), "POOLv");
}

/* Whether a row stands above another one. */
static bool above(const char *text, const char *first, const char *second) {
    const char *a = strstr(text, first), *b = strstr(text, second);
    return a && b && a < b;
}

Test(top_view, s_sorts_by_the_next_column_and_r_reverses) {
    const char *text = top_drawn(&model, &screen, 24, 80);
    cr_expect(above(text, "full  ", "react  "), "by name");
    type("s");
    text = top_drawn(&model, &screen, 24, 80);
    expect(top_line("POOL"), "OF MAXv");
    cr_expect(above(text, "full  ", "react  ") && above(text, "react  ", "idle_one"), "the fullest first");
    type("s");
    text = top_drawn(&model, &screen, 24, 80);
    expect(top_line("POOL"), "IDLEv");
    cr_expect(above(text, "idle_one", "react  ") && above(text, "react  ", "full  "), "most idle ones first");
    type("r");
    text = top_drawn(&model, &screen, 24, 80);
    expect(top_line("POOL"), "IDLE^");
    cr_expect(above(text, "full  ", "react  ") && above(text, "react  ", "idle_one"));
    for (int i = 0; i < 40; i++) {
        type("s");
        (void)top_drawn(&model, &screen, 24, 80);
    }
    type("<<<");
    (void)top_drawn(&model, &screen, 24, 80);
}

Test(top_view, a_filter_shows_rows_with_its_text) {
    type("/REA");
    const char *text = top_drawn(&model, &screen, 24, 80);
    expect(text, "filter: REA_");
    cr_expect_str_neq(top_line("react"), "");
    cr_expect_str_eq(top_line("full"), "");
    type("\n");
    expect(top_drawn(&model, &screen, 24, 80), "filtered by \"REA\"");
    type("/zz\n");
    expect(top_drawn(&model, &screen, 24, 80), "no row has the text of the filter");
    top_screen_key(&screen, &model, TOP_KEY_ESCAPE);
    (void)top_drawn(&model, &screen, 24, 80);
    cr_expect_str_neq(top_line("full"), "");
    type("/f");
    top_screen_key(&screen, &model, TOP_KEY_BACK);
    top_screen_key(&screen, &model, TOP_KEY_BACK);
    top_screen_key(&screen, &model, 0xe9);
    for (int i = 0; i < 200; i++) type("x");
    cr_expect_eq(strlen(screen.choices[TOP_POOLS].filter), TOP_FILTER, "it has a bound");
    top_screen_key(&screen, &model, TOP_KEY_ESCAPE);
    cr_expect_str_eq(screen.choices[TOP_POOLS].filter, "");
    cr_expect(!screen.typing);
}

Test(top_view, pages_are_turned_and_q_quits) {
    type("2");
    expect(top_drawn(&model, &screen, 24, 80), "HOST^");
    type("\t");
    expect(top_drawn(&model, &screen, 24, 80), "TENANT^");
    top_screen_key(&screen, &model, TOP_KEY_LEFT);
    type("9");
    expect(top_drawn(&model, &screen, 24, 80), "HOST^");
    type("?");
    expect(top_drawn(&model, &screen, 24, 80), "Bars:");
    type("x");
    expect(top_drawn(&model, &screen, 24, 80), "HOST^");
    cr_expect(!screen.quit);
    type("q?x");
    cr_expect(screen.quit, "whatever is typed after it");
}

Test(top_view, an_opened_pool_has_containers_with_their_leases) {
    json_t *page =
        top_json("{'containers':[{'container_id':'wp-react-1','state':'leased','host':'h1','age_ms':700000,'"
                 "state_ms':4200,"
                 "'request_id':'r1','agent_id':'a1','tenant':'red','lease_expires_at':1700000060000},"
                 "{'container_id':'wp-react-2','state':'idle','host':'h1','age_ms':90000,'state_ms':1000,'"
                 "outdated':true}]}");
    type("jj\n");
    cr_assert_str_eq(screen.pool, "react");
    top_model_open(&model, "react");
    top_model_containers(&model, "react", page);
    json_decref(page);
    const char *text = top_drawn(&model, &screen, 24, 160);
    expect(text, "pool react: 4 idle  10 leased  2 making  3 waiting");
    cr_expect(strstr(top_line("wp-react-1"), "leased") && strstr(top_line("wp-react-1"), "a1"));
    expect(top_line("wp-react-1"), "12 min");
    expect(top_line("wp-react-1"), "60 s");
    expect(top_line("wp-react-2"), "outdated");
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("wp-react-1"), "r1");
}

Test(top_view, a_warning_is_shown_in_full_with_its_advice) {
    json_t *record = top_json("{'worker':{'id':'w'},'warnings':[{'code':'pool_empty','subject':'react','"
                              "message':'react has had requests "
                              "in the last ten minutes and has no idle container at all','advice':'pre-warm "
                              "it: set pool.prewarm'}]}");
    top_model_metrics(&model, record, 1000, 1000);
    json_decref(record);
    expect(top_drawn(&model, &screen, 24, 80), "! pool_empty: react has had requests");
    type("6");
    const char *text = top_drawn(&model, &screen, 24, 80);
    expect(text, "no idle container at");
    expect(text, "pre-warm it: set pool.prewarm");
}

Test(top_view, what_is_away_is_said_above_old_figures) {
    snprintf(model.redis, sizeof model.redis, "no Redis answers at redis://localhost:6379");
    const char *text = top_drawn(&model, &screen, 24, 100);
    expect(text, "! no Redis answers at redis://localhost:6379 (old figures)");
    cr_expect_str_neq(top_line("react"), "");
    top_model_done(&model);
    top_model_init(&model);
    expect(top_drawn(&model, &screen, 24, 80), "waiting for Redis");
}

Test(top_view, hostile_names_reach_no_cell) {
    json_t *stats = json_pack("{s:{s:{s:i}}}", "pools", "evil\033]0;owned\a\033[2J", "available", 1);
    json_object_set_new(stats, "tenants",
                        json_pack("{s:{}}", "\xe2\x80\xae"
                                            "desrever"));
    top_model_pool_stats(&model, stats);
    json_decref(stats);
    snprintf(model.redis, sizeof model.redis, "why\r\n\033[31m");
    const char *text = top_drawn(&model, &screen, 24, 80);
    expect(text, "evil?]0;own..");
    type("\n");
    expect(top_drawn(&model, &screen, 24, 80), "pool evil?]0;owned??[2J: 1 idle");
    for (const char *c = text; *c; c++)
        cr_expect((unsigned char)*c >= 0x20 || *c == '\n', "a control character: %d", *c);
}

Test(top_view, printed_at_once_it_has_every_row_of_every_table) {
    const struct top_about about = {"here", "16:30:05", 0};
    struct top_grid grid;
    struct wp_buf all = {0};
    top_view_print(&grid, 120, &model, &about);
    for (int row = 0; row < grid.rows; row++) {
        top_grid_row(&grid, row, false, &all);
        wp_buf_add(&all, "\n", 1);
    }
    wp_buf_add(&all, "", 1);
    static const char *const parts[] = {"react",  "idle_one", "full",       "unbounded",
                                        "host-1", "host-2",   "host-3",     "red",
                                        "blue",   "tool",     "no warning", "no worker has published"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) expect(all.data, parts[i]);
    expect_not(all.data, "every");
    expect_not(all.data, ">");
    top_grid_done(&grid);
    wp_buf_done(&all);
}

Test(top_view, a_pool_that_is_amiss_has_a_mark_and_says_why_when_it_is_opened) {
    json_t *stats =
        top_json("{'pools':{'a':{'available':1},'bad':{'unavailable':'no image','draining':true}}}");
    top_model_pool_stats(&model, stats);
    json_decref(stats);
    (void)top_drawn(&model, &screen, 24, 80);
    expect(top_line("bad "), "!bad");
    type("j\n");
    top_model_open(&model, "bad");
    const char *text = top_drawn(&model, &screen, 24, 80);
    expect(text, "pool bad: 0 idle  0 leased  0 making  0 waiting  draining");
    expect(text, "unavailable: no image");
}
