/* The host's end of the socket to a container's init: whom it believes, and what becomes of silence and
 * nonsense. The test is the init. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "core/buf.h"
#include "core/clock.h"
#include "host/init_link.h"
#include "support/limits.h"
#include "support/loop.h"

#define KEY "0123456789abcdef0123456789abcdef"

static char root[40], path[48];
static uv_loop_t loop;
static struct wp_init_link *link_of;
static int done, broken, inits[2];
static char why[WP_INIT_WHY];

static void on_done(void *ctx, const char *reason) {
    (void)ctx;
    done++;
    snprintf(why, sizeof why, "%s", reason ? reason : "");
}

static void on_broken(void *ctx, const char *reason) {
    (void)ctx;
    broken++;
    snprintf(why, sizeof why, "%s", reason);
}

static void open_link(bool is_new) {
    struct wp_error error = {0};
    cr_assert_eq(wp_init_link_open(&link_of, &loop, root, "a", KEY, is_new, on_broken, NULL, &error), WP_OK,
                 "%s", error.text);
}

static void start(void) {
    snprintf(root, sizeof root, "/tmp/warmpool-init-XXXXXX");
    cr_assert(mkdtemp(root));
    snprintf(path, sizeof path, "%s/a", root);
    cr_assert_eq(mkdir(path, 0755), 0);
    uv_loop_init(&loop);
    inits[0] = inits[1] = -1;
}

static void stop(void) {
    wp_init_link_close(link_of);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    for (int i = 0; i < 2; i++)
        if (inits[i] >= 0) close(inits[i]);
    cr_expect_eq(rmdir(path), 0, "a file is left");
    rmdir(root);
}
TestSuite(init_link, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* False: nobody listens. */
static bool call(int *ret_socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/" WP_INIT_SOCKET, path);
    *ret_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(*ret_socket, (struct sockaddr *)&address, sizeof address) == 0;
}

static void say(const char *text) {
    cr_assert_eq(send(inits[0], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void hear(const char *wanted) {
    char text[512] = "";
    ssize_t got;
    while ((got = recv(inits[0], text, sizeof text - 1, MSG_DONTWAIT)) < 0) loop_turn(&loop);
    text[got] = '\0';
    cr_expect_str_eq(text, wanted);
}

static void greet(const char *text) {
    cr_assert(call(&inits[0]));
    say(text);
}

static void turn_until(const int *count) {
    while (*count == 0) loop_turn(&loop);
}

Test(init_link, a_new_one_is_given_its_key_and_an_old_one_must_have_it) {
    open_link(true);
    greet("hello - new\n");
    hear("key " KEY "\n");
    wp_init_link_keep(link_of, on_done);
    hear("keep\n");
    say("kept\n");
    turn_until(&done);
    cr_expect_str_eq(why, "");
    wp_init_link_close(link_of);
    close(inits[0]);
    open_link(false);
    greet("hello " KEY " kept\n");
    wp_init_link_clean(link_of, on_done); /* asked before it has connected */
    hear("clean\n");
    done = 0;
    say("clea");
    loop_turn(&loop);
    say("ned\n");
    turn_until(&done);
    cr_expect_str_eq(why, "");
}

Test(init_link, what_was_kept_is_not_asked_for_again) {
    open_link(false);
    wp_init_link_keep(link_of, on_done);
    cr_expect_eq(done, 0, "not from inside");
    greet("hello " KEY " kept\n");
    turn_until(&done);
    cr_expect_str_eq(why, "");
    done = 0;
    wp_init_link_keep(link_of, on_done);
    cr_expect_eq(done, 0, "not from inside");
    turn_until(&done);
    cr_expect_str_eq(why, "");
}

Test(init_link, nobody_can_connect_after_the_first) {
    open_link(true);
    greet("hello - new\n");
    hear("key " KEY "\n");
    cr_expect_not(call(&inits[1]));
}

static void is_not_believed(bool is_new, const char *said) {
    open_link(is_new);
    greet(said);
    turn_until(&broken);
    cr_expect_str_eq(why, "something else than its init has connected to this host", "%s", said);
    broken = 0;
    close(inits[0]);
    inits[0] = -1;
    wp_init_link_close(link_of);
}

Test(init_link, who_has_another_key_or_none_is_not_believed) {
    is_not_believed(false, "hello - new\n");
    is_not_believed(false, "hello 0123456789abcdef0123456789abcdee kept\n");
    is_not_believed(false, "hello x\n" /* no state */);
}

Test(init_link, one_that_was_made_before_may_connect_before_its_key_is_known) {
    open_link(true);
    greet("hello ffffffffffffffffffffffffffffffff kept\n");
    for (int turn = 0; turn < 5; turn++) loop_turn(&loop);
    cr_expect_eq(broken, 0);
    wp_init_link_set_key(link_of, "ffffffffffffffffffffffffffffffff");
    wp_init_link_clean(link_of, on_done);
    hear("clean\n");
    say("cleaned\n");
    turn_until(&done);
    cr_expect_str_eq(why, "");
}

Test(init_link, nonsense_and_lines_without_an_end_break_it) {
    char long_line[WP_INIT_LINE + 1];
    memset(long_line, 'x', WP_INIT_LINE);
    long_line[WP_INIT_LINE] = '\0';
    const char *const cases[] = {"cleaned\n", "kept\n", "\n", long_line};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        broken = 0;
        open_link(true);
        greet("hello - new\n");
        hear("key " KEY "\n");
        say(cases[i]);
        turn_until(&broken);
        close(inits[0]);
        inits[0] = -1;
        wp_init_link_close(link_of);
    }
}

Test(init_link, a_failure_is_told_with_its_reason) {
    open_link(false);
    greet("hello " KEY " kept\n");
    wp_init_link_clean(link_of, on_done);
    hear("clean\n");
    say("failed 3 processes do\x1b not end\n");
    turn_until(&done);
    cr_expect_str_eq(why, "3 processes do? not end");
}

Test(init_link, silence_ends_what_was_asked) {
    open_link(false);
    int64_t began = wp_clock_us();
    wp_init_link_clean(link_of, on_done);
    turn_until(&done);
    cr_expect_str_eq(why, "its init has not connected to this host");
    cr_expect(wp_clock_us() - began < 2 * WP_INIT_ANSWER * 1000);
    cr_expect_not(call(&inits[1]));
    done = 0;
    wp_init_link_clean(link_of, on_done);
    turn_until(&done); /* at once */
    cr_expect(wp_clock_us() - began < 2 * WP_INIT_ANSWER * 1000);
}

static void expect_told_later(void) {
    for (int turn = 0; turn < 5; turn++) loop_turn(&loop);
    cr_expect_eq(done, 0, "the engine knows more");
    turn_until(&done);
    cr_expect_str_eq(why, "its init has closed its socket");
    done = 0;
}

Test(init_link, one_that_ends_is_told_only_where_the_engine_does_not_say_why_in_time) {
    open_link(false);
    greet("hello " KEY " kept\n");
    wp_init_link_clean(link_of, on_done);
    hear("clean\n");
    close(inits[0]);
    inits[0] = -1;
    expect_told_later();
    wp_init_link_clean(link_of, on_done);
    expect_told_later();
}

Test(init_link, a_long_path_is_no_obstacle_and_the_folders_time_stays) {
    char deep[256], name[101], sub[512];
    struct stat before, after;
    struct wp_error error = {0};
    memset(name, 'n', 100);
    name[100] = '\0';
    snprintf(deep, sizeof deep, "%s/%s", root, name);
    snprintf(sub, sizeof sub, "%s/%s", deep, name);
    cr_assert_eq(mkdir(deep, 0755), 0);
    cr_assert_eq(mkdir(sub, 0755), 0);
    cr_assert_eq(stat(sub, &before), 0);
    cr_assert_eq(wp_init_link_open(&link_of, &loop, deep, name, KEY, true, on_broken, NULL, &error), WP_OK,
                 "%s", error.text);
    wp_init_link_close(link_of);
    cr_assert_eq(stat(sub, &after), 0);
    cr_expect_eq(memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim), 0);
    link_of = NULL;
    rmdir(sub);
    rmdir(deep);
}

/* ---- descriptors of others, with the numbers of those that a link has closed ---- */

#define OTHERS 8
static uv_poll_t others[2 * OTHERS];
static int others_open, others_heard;

static void on_other(uv_poll_t *poll, int status, int events) {
    cr_expect_eq(status, 0);
    cr_expect_eq(events, UV_READABLE);
    others_heard++;
    uv_poll_stop(poll);
}

static void open_others(void) {
    for (int i = 0; i < OTHERS; i++, others_open++) {
        cr_assert_eq(uv_poll_init(&loop, &others[others_open], eventfd(0, EFD_CLOEXEC)), 0);
        uv_poll_start(&others[others_open], UV_READABLE, on_other);
    }
    loop_turn(&loop); /* the kernel watches them from now on */
}

static void close_others(void) {
    for (int i = 0; i < others_open; i++) {
        int descriptor;
        uv_fileno((uv_handle_t *)&others[i], &descriptor);
        uv_close((uv_handle_t *)&others[i], NULL);
        close(descriptor);
    }
}

Test(init_link, nobody_elses_descriptor_is_forgotten_when_it_closes) {
    open_link(false);
    greet("hello " KEY " kept\n");
    wp_init_link_clean(link_of, on_done);
    hear("clean\n"); /* it listens no more */
    open_others();
    close(inits[0]);
    inits[0] = -1;
    turn_until(&done); /* nor is it connected */
    open_others();
    wp_init_link_close(link_of);
    link_of = NULL;
    for (int i = 0; i < others_open; i++) {
        int descriptor;
        uv_fileno((uv_handle_t *)&others[i], &descriptor);
        cr_assert_eq(eventfd_write(descriptor, 1), 0);
    }
    while (others_heard < others_open) loop_turn(&loop);
    close_others();
}
