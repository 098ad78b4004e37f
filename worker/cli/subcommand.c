/* The options that subcommands share, and how a subcommand is found. */
#include <string.h>
#include "cli/subcommand.h"

static const struct wp_shared_option shared[] = {
    {'c', NULL, "FILE", "read this configuration file (INI)"},
    {'o', NULL, "SECTION.KEY=VALUE", "set one key; may be repeated, and wins over file and environment"},
    {0, "reference", NULL, "print the reference of all keys as Markdown"},
    {'h', "help", NULL, "print this"},
};

static bool has(const struct wp_subcommand *command, const struct wp_shared_option *option) {
    if (option->letter == 'c' || option->letter == 'o') return !command->no_configuration;
    return option->letter == 'h' || command->lists_keys;
}

const struct wp_shared_option *wp_shared_option_next(const struct wp_subcommand *command, size_t *at) {
    while (*at < sizeof(shared) / sizeof(shared[0])) {
        const struct wp_shared_option *option = &shared[(*at)++];
        if (has(command, option)) return option;
    }
    return NULL;
}

size_t wp_option_count(const struct wp_option *options) {
    size_t count = 0;
    while (options && options[count].name) count++;
    return count;
}

const struct wp_subcommand *wp_subcommand_find(const struct wp_subcommand *const *all, const char *name) {
    while (*all && strcmp((*all)->name, name) != 0) all++;
    return *all;
}
