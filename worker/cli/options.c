/* The shared command line. Runs before anything else starts, on one thread. */
#include "cli/options.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/usage.h"
#include "core/log.h"

#define OPTIONS_MAX 24
#define OWN 1000 /* getopt's value for the subcommand's own option number 0 */

enum { REFERENCE = OWN - 1 };

struct parser {
    const struct wp_subcommand *command;
    const char *file;       /* of -c; borrowed */
    const char **overrides; /* of -o; owned list of borrowed texts */
    size_t override_count;
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

static void take_override(struct parser *parser, const char *text) {
    size_t size = (parser->override_count + 1) * sizeof(*parser->overrides);
    parser->overrides = wp_realloc(parser->overrides, size);
    parser->overrides[parser->override_count++] = text;
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
            parser->file = optarg;
            break;
        case 'o':
            take_override(parser, optarg);
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

static enum wp_err apply_override(struct parser *parser, struct wp_config *config, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals) {
        return wp_fail(&parser->error, WP_ERR_CONFIG, "configuration: -o %.100s: section.key=value is wanted",
                       text);
    }
    char *key = wp_strndup((struct wp_str){text, (size_t)(equals - text)});
    enum wp_err err = wp_config_set(config, key, equals + 1, &parser->error);
    free(key);
    if (err != WP_OK) wp_fail(&parser->error, err, "%s (option -o)", parser->error.text);
    return err;
}

static enum wp_err load(struct parser *parser, struct wp_config *config) {
    enum wp_err err = WP_OK;
    if (parser->file) err = wp_config_load_file(config, parser->file, &parser->error);
    if (err == WP_OK) err = wp_config_load_environment(config, environ, &parser->error);
    for (size_t i = 0; err == WP_OK && i < parser->override_count; i++) {
        err = apply_override(parser, config, parser->overrides[i]);
    }
    if (err == WP_OK) err = wp_config_check(config, &parser->error);
    return err;
}

static void apply_log_level(const struct wp_config *config) {
    enum wp_log_level level;
    enum wp_err err = wp_log_parse_level(config->log.level, &level);
    wp_assert(err == WP_OK); /* the table has the same words */
    wp_log_set_level(level);
}

static enum outcome parse(struct parser *parser, int argc, char **argv, struct wp_config *config) {
    enum outcome outcome = take_options(parser, argc, argv);
    if (outcome != RUN) return outcome;
    if (check_count(parser, argc - optind) != WP_OK) return REFUSED;
    wp_assert(!config == parser->command->no_configuration);
    if (!config) return RUN;
    wp_config_init(config);
    if (load(parser, config) != WP_OK) {
        wp_config_done(config);
        return REFUSED;
    }
    apply_log_level(config);
    return RUN;
}

bool wp_options_parse(const struct wp_subcommand *command, int argc, char **argv, struct wp_config *config,
                      struct wp_parsed *ret, int *ret_exit) {
    struct parser parser = {.command = command};
    enum outcome outcome = parse(&parser, argc, argv, config);
    free(parser.overrides);
    *ret = (struct wp_parsed){argv + optind, argc - optind};
    *ret_exit = outcome == REFUSED ? wp_options_fail(command, WP_EXIT_USAGE, &parser.error) : WP_EXIT_OK;
    return outcome == RUN;
}
