/* The folders and files of claims: who may read them, and when they are gone. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/buf.h"
#include "host/claims.h"
#include "support/limits.h"

static char root[64];
static char *folder;
static struct wp_error error;

static void start(void) {
    snprintf(root, sizeof root, "/tmp/warmpool-claims-XXXXXX");
    cr_assert(mkdtemp(root));
    folder = wp_claims_folder(root, "h1");
    cr_assert_eq(wp_claims_open(root, folder, &error), WP_OK, "%s", error.text);
    cr_assert_eq(wp_claims_make(folder, "wp-react-1", &error), WP_OK, "%s", error.text);
}

static void stop(void) {
    wp_claims_remove(folder, "wp-react-1");
    rmdir(folder);
    rmdir(root);
    free(folder);
}
TestSuite(claims, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static mode_t mode_of(const char *part) {
    struct stat seen;
    char *path = wp_format("%s%s", folder, part);
    cr_assert_eq(stat(path, &seen), 0, "%s is not there", path);
    free(path);
    return seen.st_mode & 07777;
}

static bool is_there(const char *part) {
    char *path = wp_format("%s%s", folder, part);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

Test(claims, others_of_this_machine_cannot_come_near_and_every_user_of_the_container_can_read) {
    umask(077);
    cr_assert_eq(wp_claims_make(folder, "wp-react-2", &error), WP_OK);
    cr_assert_eq(wp_claims_write(folder, "wp-react-2", WP_STR("{}"), &error), WP_OK, "%s", error.text);
    cr_expect_eq(mode_of(""), 0700);
    cr_expect_eq(mode_of("/wp-react-2"), 0755);
    cr_expect_eq(mode_of("/wp-react-2/claim.json"), 0444);
    wp_claims_remove(folder, "wp-react-2");
}

/* A folder is where the claim should be; the other name of the file shows what becomes of its bytes. */
Test(claims, what_was_written_of_one_that_could_not_be_put_in_place_is_overwritten) {
    char *place = wp_format("%s/wp-react-1/claim.json", folder),
         *fresh = wp_format("%s/wp-react-1/.claim.json.new", folder), *other = wp_format("%s/other", root),
         text[64] = "";
    cr_assert_eq(mkdir(place, 0700), 0);
    FILE *file = fopen(fresh, "w");
    cr_assert(file && fclose(file) == 0 && link(fresh, other) == 0);
    cr_assert_eq(wp_claims_write(folder, "wp-react-1", WP_STR("{\"a\":\"secret\"}"), &error), WP_ERR_SYSTEM);
    cr_expect_not(is_there("/wp-react-1/.claim.json.new"));
    file = fopen(other, "r");
    cr_assert(file && fread(text, 1, sizeof text, file) > 0);
    fclose(file);
    cr_expect_str_eq(text, "");
    unlink(other);
    rmdir(place);
    free(other);
    free(fresh);
    free(place);
}

Test(claims, a_second_claim_replaces_the_first_whole) {
    char *path = wp_format("%s/wp-react-1/claim.json", folder), text[64] = "";
    cr_assert_eq(wp_claims_write(folder, "wp-react-1", WP_STR("{\"a\":\"longer than the next\"}"), &error),
                 WP_OK);
    cr_assert_eq(wp_claims_write(folder, "wp-react-1", WP_STR("{\"b\":\"2\"}"), &error), WP_OK);
    FILE *file = fopen(path, "r");
    cr_assert(fgets(text, sizeof text, file));
    fclose(file);
    cr_expect_str_eq(text, "{\"b\":\"2\"}");
    free(path);
}

Test(claims, wiped_nothing_is_left_and_wiping_again_is_fine) {
    cr_assert_eq(wp_claims_write(folder, "wp-react-1", WP_STR("{}"), &error), WP_OK);
    cr_expect(wp_claims_wipe(folder, "wp-react-1"));
    cr_expect_not(is_there("/wp-react-1/claim.json"));
    cr_expect(is_there("/wp-react-1"), "the container still has it mounted");
    cr_expect(wp_claims_wipe(folder, "wp-react-1"));
}

Test(claims, a_wiped_one_is_overwritten_not_only_unlinked) {
    char *path = wp_format("%s/wp-react-1/claim.json", folder), text[8] = "";
    static const char nothing[8];
    cr_assert_eq(wp_claims_write(folder, "wp-react-1", WP_STR("{\"a\":1}"), &error), WP_OK);
    FILE *file = fopen(path, "r"); /* as a process that stays would have it open */
    cr_expect(wp_claims_wipe(folder, "wp-react-1"));
    cr_expect_eq(fread(text, 1, sizeof text, file), 7);
    cr_expect_arr_eq(text, nothing, 7);
    fclose(file);
    free(path);
}

Test(claims, a_claim_that_cannot_be_written_is_not_quoted) {
    cr_expect_neq(wp_claims_write(folder, "wp-nobody-9", WP_STR("s3cret"), &error), WP_OK);
    cr_expect_not(strstr(error.text, "s3cret"));
    cr_expect(strstr(error.text, "No such file"));
}

Test(claims, one_that_cannot_be_wiped_says_so) {
    char *path = wp_format("%s/wp-react-1/claim.json", folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    cr_expect_not(wp_claims_wipe(folder, "wp-react-1"));
    rmdir(path);
    free(path);
}

static bool is_second(void *ctx, const char *id) {
    (void)ctx;
    return strcmp(id, "wp-react-2") == 0;
}

Test(claims, of_workers_before_us_only_those_that_are_held_stay) {
    cr_assert_eq(wp_claims_make(folder, "wp-react-2", &error), WP_OK);
    cr_assert_eq(wp_claims_write(folder, "wp-react-1", WP_STR("{}"), &error), WP_OK);
    cr_assert_eq(wp_claims_write(folder, "wp-react-2", WP_STR("{}"), &error), WP_OK);
    wp_claims_keep(folder, is_second, NULL);
    cr_expect_not(is_there("/wp-react-1"));
    cr_expect(is_there("/wp-react-2/claim.json"));
    wp_claims_remove(folder, "wp-react-2");
}

Test(claims, without_a_folder_nothing_is_done_and_a_claim_is_refused) {
    cr_expect_eq(wp_claims_open("", "", &error), WP_OK);
    cr_expect_eq(wp_claims_make("", "wp-react-1", &error), WP_OK);
    cr_expect(wp_claims_wipe("", "wp-react-1"));
    wp_claims_keep("", is_second, NULL);
    cr_expect_neq(wp_claims_write("", "wp-react-1", WP_STR("{}"), &error), WP_OK);
    cr_expect(strstr(error.text, "host.claims is empty"));
}

Test(claims, a_folder_that_cannot_be_made_is_named_with_what_to_do) {
    cr_expect_eq(wp_claims_open("/proc/nowhere", "/proc/nowhere/h1", &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, "host.claims = /proc/nowhere"), "%s", error.text);
    cr_expect(strstr(error.text, "leave it empty"), "%s", error.text);
}

static char *root_with(const char *key, const char *value, bool wanted) {
    struct wp_config config;
    wp_config_init(&config);
    if (key) cr_assert_eq(wp_config_set(&config, key, value, &error), WP_OK, "%s", error.text);
    char *found = wp_claims_root(&config, wanted);
    wp_config_done(&config);
    return found;
}

static void expect_root(const char *key, const char *value, bool wanted, const char *expected) {
    char *found = root_with(key, value, wanted);
    cr_expect_str_eq(found, expected);
    free(found);
}

Test(claims, without_a_folder_that_is_named_there_is_one_for_inits_alone) {
    char *in_run_time = wp_format("/run/user/7/warmpool-%u-wp-", (unsigned)getuid());
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    expect_root(NULL, NULL, false, "");
    expect_root(NULL, NULL, true, in_run_time);
    expect_root("host.claims", "/run/mine", true, "/run/mine");
    expect_root("host.claims", "/run/mine", false, "/run/mine");
    free(in_run_time);
}

Test(claims, a_folder_of_somebody_else_is_not_taken) {
    char *foreign = wp_format("%s/foreign", root);
    cr_assert_eq(mkdir(foreign, 0777), 0);
    if (getuid() != 0 || chown(foreign, 12345, 12345) != 0 || chmod(root, 0755) != 0)
        cr_skip_test("needs root");
    cr_assert_eq(seteuid(23456), 0);
    cr_expect_eq(wp_claims_open(root, foreign, &error), WP_ERR_CONFIG);
    cr_assert_eq(seteuid(0), 0);
    rmdir(foreign);
    free(foreign);
}
