#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/options.h"
#include "core/log.h"

static bool json;
static const char *seconds;
static const struct wp_option own[] = {
    {"json", NULL, "print JSON", &json},
    {"for", "SECONDS", "stop after this time", &seconds},
    {0},
};
static const struct wp_subcommand sample = {.name = "sample",
                                            .arguments = "TOPIC",
                                            .text = "Does something.",
                                            .options = own,
                                            .min_args = 1,
                                            .max_args = 2};
static const struct wp_subcommand lister = {.name = "worker",
                                            .arguments = "",
                                            .text = "Runs.",
                                            .options = NULL,
                                            .min_args = 0,
                                            .max_args = 0,
                                            .lists_keys = true};

static struct wp_config config;
static struct wp_parsed parsed;
static int exit_code;

static void setup(void) {
    cr_redirect_stdout();
    cr_redirect_stderr();
}
TestSuite(options, .init = setup);

static bool parse(const struct wp_subcommand *command, char **words) {
    static char *argv[16]; /* parsed.args borrows from it */
    int argc = 0;
    for (; words[argc]; argc++) argv[argc] = words[argc];
    argv[argc] = NULL;
    exit_code = -1;
    return wp_options_parse(command, argc, argv, &config, &parsed, &exit_code);
}

#define PARSE(command, ...) parse(command, (char *[]){(char *)(command)->name, __VA_ARGS__, NULL})

static void expect_refusal(bool went_on, const char *sentence) {
    cr_assert_not(went_on);
    cr_assert_eq(exit_code, WP_EXIT_USAGE);
    fflush(stderr);
    cr_assert_stderr_eq_str(sentence);
}

Test(options, own_options_and_arguments_may_come_in_any_order) {
    cr_assert(PARSE(&sample, "first", "--json", "second", "--for", "5"));
    cr_assert(json);
    cr_assert_str_eq(seconds, "5");
    cr_assert_eq(parsed.count, 2);
    cr_assert_str_eq(parsed.args[0], "first");
    cr_assert_str_eq(parsed.args[1], "second");
    cr_assert_eq(config.pool.size, 10);
    wp_config_done(&config);
}

Test(options, what_is_not_given_stays_untouched) {
    cr_assert(PARSE(&sample, "x"));
    cr_assert_not(json);
    cr_assert_null(seconds);
    wp_config_done(&config);
}

Test(options, two_dashes_end_the_options) {
    cr_assert(PARSE(&sample, "--", "--json"));
    cr_assert_not(json);
    cr_assert_str_eq(parsed.args[0], "--json");
    wp_config_done(&config);
}

Test(options, later_sources_win) {
    char path[] = "/tmp/warmpool-options-XXXXXX";
    int fd = mkstemp(path);
    static const char ini[] = "[pool]\nsize = 1\nmax_containers = 1\ntimeout_ms = 1\n";
    cr_assert_eq(write(fd, ini, sizeof(ini) - 1), (ssize_t)sizeof(ini) - 1);
    close(fd);
    setenv("WARMPOOL_POOL_MAX_CONTAINERS", "22", 1);
    setenv("WARMPOOL_POOL_TIMEOUT_MS", "22", 1);
    bool went_on = PARSE(&sample, "x", "-o", "pool.timeout_ms=33", "-c", path, "-o", "pool.timeout_ms=44");
    unlink(path);
    cr_assert(went_on);
    cr_assert_eq(config.pool.size, 1);
    cr_assert_eq(config.pool.max_containers, 22);
    cr_assert_eq(config.pool.timeout_ms, 44);
    wp_config_done(&config);
}

Test(options, the_log_level_is_in_force_afterwards) {
    cr_assert(PARSE(&sample, "x", "-o", "log.level=error"));
    cr_assert_eq(wp_log_level(), WP_LOG_ERROR);
    wp_config_done(&config);
}

Test(options, a_value_may_hold_an_equals_sign) {
    cr_assert(PARSE(&sample, "x", "-o", "process.command=A=1 exec sleep 2"));
    cr_assert_str_eq(config.process.command, "A=1 exec sleep 2");
    wp_config_done(&config);
}

Test(options, a_wrong_key_is_said_in_one_sentence) {
    expect_refusal(PARSE(&sample, "x", "-o", "pool.sise=5"),
                   "warmpool sample: configuration: pool.sise is not a known key; did you mean pool.size? "
                   "(option -o)\n");
}

Test(options, an_override_without_a_value_is_refused) {
    expect_refusal(PARSE(&sample, "x", "-o", "pool.size"),
                   "warmpool sample: configuration: -o pool.size: section.key=value is wanted\n");
}

Test(options, values_that_contradict_each_other_are_refused) {
    expect_refusal(PARSE(&sample, "x", "-o", "pool.size=500"),
                   "warmpool sample: configuration: pool.size (500) is above pool.max_containers (100); "
                   "raise the latter\n");
}

Test(options, a_missing_file_is_refused) {
    expect_refusal(
        PARSE(&sample, "x", "-c", "/no/such.ini"),
        "warmpool sample: configuration: the file /no/such.ini cannot be read: No such file or directory\n");
}

Test(options, a_wrong_environment_is_refused) {
    setenv("WARMPOOL_POOL_SIZE", "many", 1);
    expect_refusal(PARSE(&sample, "x"),
                   "warmpool sample: configuration: pool.size = \"many\": a whole number from 0 to "
                   "100000 is wanted (environment WARMPOOL_POOL_SIZE)\n");
}

Test(options, an_unknown_long_option_is_named) {
    expect_refusal(PARSE(&sample, "x", "--jsn"),
                   "warmpool sample: --jsn is not a known option; see --help\n");
}

Test(options, an_unknown_short_option_is_named) {
    expect_refusal(PARSE(&sample, "x", "-z"), "warmpool sample: -z is not a known option; see --help\n");
}

Test(options, a_missing_value_is_named) {
    expect_refusal(PARSE(&sample, "x", "--for"),
                   "warmpool sample: the option --for needs a value; see --help\n");
}

Test(options, a_value_for_a_flag_is_refused) {
    expect_refusal(PARSE(&sample, "x", "--json=yes"),
                   "warmpool sample: the option --json=yes takes no value; see --help\n");
}

Test(options, a_missing_argument_is_named) {
    expect_refusal(PARSE(&sample, "--json"),
                   "warmpool sample: TOPIC is missing; usage: warmpool sample [OPTION]... TOPIC\n");
}

Test(options, too_many_arguments_are_refused) {
    expect_refusal(PARSE(&sample, "a", "b", "c"),
                   "warmpool sample: too many arguments; usage: warmpool sample [OPTION]... TOPIC\n");
}

Test(options, only_the_worker_prints_the_reference) {
    expect_refusal(PARSE(&sample, "--reference"),
                   "warmpool sample: --reference is not a known option; see --help\n");
}

/* Criterion's own pipes hold less than the long texts, so these read them from a file. */
static char *printed_by(const struct wp_subcommand *command, const char *option) {
    char path[] = "/tmp/warmpool-options-XXXXXX";
    int fd = mkstemp(path);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fd, STDOUT_FILENO);
    bool went_on = PARSE(command, (char *)option);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    cr_assert_not(went_on);
    cr_assert_eq(exit_code, WP_EXIT_OK);
    struct wp_buf text = {0};
    lseek(fd, 0, SEEK_SET);
    for (char piece[4096]; true;) {
        ssize_t got = read(fd, piece, sizeof(piece));
        if (got <= 0) break;
        wp_buf_add(&text, piece, (size_t)got);
    }
    wp_buf_add(&text, "", 1);
    close(fd);
    unlink(path);
    return text.data;
}

Test(options, help_shows_usage_own_options_and_where_the_keys_are) {
    char *text = printed_by(&sample, "--help");
    cr_assert_str_eq(
        text,
        "Usage: warmpool sample [OPTION]... TOPIC\n"
        "\n"
        "Does something.\n"
        "\n"
        "Options:\n"
        "  --json                     print JSON\n"
        "  --for SECONDS              stop after this time\n"
        "  -c FILE                    read this configuration file (INI)\n"
        "  -o SECTION.KEY=VALUE       set one key; may be repeated, and wins over file and environment\n"
        "  -h, --help                 print this\n"
        "\n"
        "All keys are listed by `warmpool worker --help`.\n");
    free(text);
}

Test(options, the_worker_lists_all_keys) {
    char *text = printed_by(&lister, "-h");
    cr_assert_not_null(strstr(text, "Usage: warmpool worker [OPTION]...\n"));
    cr_assert_not_null(strstr(text, "  log.level = info\n"));
    cr_assert_not_null(strstr(text, "--reference"));
    free(text);
}

Test(options, the_worker_prints_the_reference) {
    char *text = printed_by(&lister, "--reference");
    cr_assert(strncmp(text, "# Configuration\n", 16) == 0);
    free(text);
}

/* ---- the binary itself ---- */

static char output[8192];

static int run(const char *arguments) {
    struct wp_buf command = {0};
    wp_buf_printf(&command, "{ %s/warmpool %s; } 2>&1%c", BINARY_DIR, arguments, '\0');
    FILE *pipe = popen(command.data, "re");
    cr_assert_not_null(pipe);
    size_t got = fread(output, 1, sizeof(output) - 1, pipe);
    output[got] = '\0';
    wp_buf_done(&command);
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(main, prints_its_version) {
    cr_assert_eq(run("--version"), 0);
    cr_assert_str_eq(output, "warmpool " WP_VERSION "\n");
}

Test(main, prints_its_subcommands_when_asked_or_given_nothing) {
    static const char *const ways[] = {"", "--help", "-h", "help"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        cr_assert_eq(run(ways[i]), 0);
        cr_assert(strncmp(output, "Usage: warmpool SUBCOMMAND", 26) == 0, "%s", output);
    }
}

Test(main, refuses_what_is_no_subcommand) {
    static const char *const ways[] = {"wroker", "help wroker"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        cr_assert_eq(run(ways[i]), 2);
        cr_assert_str_eq(output, "warmpool: wroker is not a subcommand; see `warmpool --help`\n");
    }
}

/* The table is the list of what there is: every row must be reachable by its name and by `help`. */
Test(main, every_listed_subcommand_has_help) {
    cr_assert_eq(run(""), 0);
    char *listed = wp_strdup(output);
    char *at = strstr(listed, "Subcommands:\n") + strlen("Subcommands:\n");
    for (char name[16]; sscanf(at, "  %15[a-z]", name) == 1; at = strchr(at, '\n') + 1) {
        char arguments[64];
        snprintf(arguments, sizeof(arguments), "%s --help | head -c 8000", name);
        cr_assert_eq(run(arguments), 0);
        char usage[64];
        snprintf(usage, sizeof(usage), "Usage: warmpool %s", name);
        cr_assert(strncmp(output, usage, strlen(usage)) == 0, "%s", output);
        snprintf(arguments, sizeof(arguments), "help %s | head -c 8000", name);
        cr_assert_eq(run(arguments), 0);
        cr_assert(strncmp(output, usage, strlen(usage)) == 0, "%s", output);
    }
    free(listed);
}
