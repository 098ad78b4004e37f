/* The shared command line. Runs before anything else starts, on one thread. */
#include "cli/options.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/usage.h"
#include "core/log.h"

#define OPTIONS_MAX 24
#define OWN 1000 /* getopt's value for the subcommand's own option number 0 */

enum { REFERENCE = OWN - 1 };

struct parser {
    const struct wp_subcommand *command;
    struct wp_config_sources sources; /* of -c and -o */
    struct wp_error error;
};

int wp_options_fail(const struct wp_subcommand *command, int code, const struct wp_error *error) {
    fprintf(stderr, "warmpool %s: %s\n", command->name, error->text);
    return code;
}

/* getopt's value of a shared option is its letter, or REFERENCE. */
static void fill_long_options(const struct wp_subcommand *command, struct option *ret) {
    size_t own = wp_option_count(command->options), n = 0;
    wp_assert(own + 3 <= OPTIONS_MAX);
    for (size_t i = 0; i < own; i++) {
        const struct wp_option *option = &command->options[i];
        int kind = option->argument ? required_argument : no_argument;
        ret[n++] = (struct option){option->name, kind, NULL, OWN + (int)i};
    }
    const struct wp_shared_option *shared;
    for (size_t at = 0; (shared = wp_shared_option_next(command, &at));) {
        if (!shared->name) continue;
        ret[n++] =
            (struct option){shared->name, no_argument, NULL, shared->letter ? shared->letter : REFERENCE};
    }
    ret[n] = (struct option){0};
}

static void take_own(const struct wp_option *option, const char *value) {
    if (option->argument)
        *(const char **)option->target = value;
    else
        *(bool *)option->target = true;
}

static enum wp_err refuse_option(struct parser *parser, int found, char **argv) {
    const char *hint = "see --help";
    if (found == ':') {
        return wp_fail(&parser->error, WP_ERR_CONFIG, "the option %s needs a value; %s", argv[optind - 1],
                       hint);
    }
    if (optopt > 0 && optopt < 128) {
        return wp_fail(&parser->error, WP_ERR_CONFIG, "-%c is not a known option; %s", optopt, hint);
    }
    if (optopt != 0) {
        return wp_fail(&parser->error, WP_ERR_CONFIG, "the option %s takes no value; %s", argv[optind - 1],
                       hint);
    }
    return wp_fail(&parser->error, WP_ERR_CONFIG, "%s is not a known option; %s", argv[optind - 1], hint);
}

enum outcome { RUN, DONE, REFUSED };

static enum outcome take_options(struct parser *parser, int argc, char **argv) {
    struct option long_options[OPTIONS_MAX + 1];
    fill_long_options(parser->command, long_options);
    const char *letters = parser->command->no_configuration ? ":h" : ":c:o:h";
    opterr = 0;
    optind = 0; /* glibc: start anew, whatever was parsed before */
    for (int found; (found = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
        switch (found) {
        case 'c':
            parser->sources.file = optarg;
            break;
        case 'o':
            wp_config_sources_override(&parser->sources, optarg);
            break;
        case 'h':
            wp_usage_print(stdout, parser->command);
            return DONE;
        case REFERENCE:
            wp_config_print_reference(stdout);
            return DONE;
        case '?':
        case ':':
            refuse_option(parser, found, argv);
            return REFUSED;
        default:
            take_own(&parser->command->options[found - OWN], optarg);
            break;
        }
    }
    return RUN;
}

static enum wp_err check_count(struct parser *parser, int count) {
    const struct wp_subcommand *command = parser->command;
    if (count < command->min_args) {
        return wp_fail(&parser->error, WP_ERR_CONFIG, "%s is missing; usage: warmpool %s [OPTION]... %s",
                       command->arguments, command->name, command->arguments);
    }
    if (command->max_args >= 0 && count > command->max_args) {
        return wp_fail(&parser->error, WP_ERR_CONFIG,
                       "too many arguments; usage: warmpool %s [OPTION]...%s%s", command->name,
                       *command->arguments ? " " : "", command->arguments);
    }
    return WP_OK;
}

void wp_options_apply_log(const struct wp_config *config) {
    enum wp_log_level level;
    enum wp_err err = wp_log_parse_level(config->log.level, &level);
    wp_assert(err == WP_OK); /* the table has the same words */
    wp_log_set_level(level);
    wp_log_set_format(strcmp(config->log.format, "json") == 0 ? WP_LOG_JSON : WP_LOG_LOGFMT);
}

static enum outcome parse(struct parser *parser, int argc, char **argv, struct wp_config *config) {
    enum outcome outcome = take_options(parser, argc, argv);
    if (outcome != RUN) return outcome;
    if (check_count(parser, argc - optind) != WP_OK) return REFUSED;
    wp_assert(!config == parser->command->no_configuration);
    if (!config) return RUN;
    if (wp_config_sources_load(&parser->sources, config, &parser->error) != WP_OK) return REFUSED;
    wp_options_apply_log(config);
    return RUN;
}

bool wp_options_parse_sources(const struct wp_subcommand *command, int argc, char **argv,
                              struct wp_config *config, struct wp_parsed *ret,
                              struct wp_config_sources *ret_sources, int *ret_exit) {
    struct parser parser = {.command = command};
    enum outcome outcome = parse(&parser, argc, argv, config);
    *ret = (struct wp_parsed){argv + optind, argc - optind};
    *ret_exit = outcome == REFUSED ? wp_options_fail(command, WP_EXIT_USAGE, &parser.error) : WP_EXIT_OK;
    if (outcome != RUN) wp_config_sources_done(&parser.sources);
    *ret_sources = parser.sources;
    return outcome == RUN;
}

bool wp_options_parse(const struct wp_subcommand *command, int argc, char **argv, struct wp_config *config,
                      struct wp_parsed *ret, int *ret_exit) {
    struct wp_config_sources sources;
    bool runs = wp_options_parse_sources(command, argc, argv, config, ret, &sources, ret_exit);
    wp_config_sources_done(&sources);
    return runs;
}
