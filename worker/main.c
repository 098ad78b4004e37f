/* The table of subcommands, nothing else. */
#include <stdio.h>
#include <string.h>
#include "cli/command.h"
#include "cli/inherited.h"

struct subcommand {
    const char *name;
    const char *text;
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"worker", "handle events", wp_cli_worker},
    {"check", "try the configuration and every connection", wp_cli_check},
    {"send", "publish JSON lines from standard input", wp_cli_send},
    {"tail", "print records as JSON lines", wp_cli_tail},
    {"status", "print the state of pools, cache, hosts and leases", wp_cli_status},
    {"hosts", "list the hosts, and forget one that never returns", wp_cli_hosts},
    {"accept", "begin anew with a topic that was made anew", wp_cli_accept},
    {"replay", "publish a recorded trace and measure the answers", wp_cli_replay},
    {"broker", "run an embedded Kafka broker for trying things out", wp_cli_broker},
    {NULL, NULL, NULL},
};

static const struct subcommand *find(const char *name) {
    for (const struct subcommand *command = subcommands; command->name; command++) {
        if (strcmp(command->name, name) == 0) return command;
    }
    return NULL;
}

static void print_usage(FILE *out) {
    fputs("Usage: warmpool SUBCOMMAND [OPTION]...\n"
          "\n"
          "Warm containers, a shared cache and predictions for AI agents, driven by Kafka.\n"
          "\n"
          "Subcommands:\n",
          out);
    for (const struct subcommand *command = subcommands; command->name; command++) {
        fprintf(out, "  %-8s %s\n", command->name, command->text);
    }
    fputs("\n`warmpool help SUBCOMMAND` says more; `warmpool --version` prints the version.\n", out);
}

static int refuse(const char *name) {
    fprintf(stderr, "warmpool: %s is not a subcommand; see `warmpool --help`\n", name);
    return WP_EXIT_USAGE;
}

static int help_about(char *name) {
    const struct subcommand *command = find(name);
    if (!command) return refuse(name);
    char option[] = "--help";
    char *argv[] = {name, option, NULL};
    return command->run(2, argv);
}

static int run(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "help") == 0 && argc > 2) return help_about(argv[2]);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return WP_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("warmpool " WP_VERSION);
        return WP_EXIT_OK;
    }
    const struct subcommand *command = find(name);
    return command ? command->run(argc - 1, argv + 1) : refuse(name);
}

int main(int argc, char **argv) {
    wp_inherited_mend();
    return wp_output_end(run(argc, argv));
}
