/* The completion of bash; it needs nothing of the package bash-completion. */
#include "cli/completion_bash.h"
#include "cli/completion_words.h"
#include "core/config.h"

static const char functions[] =
    "_warmpool_offer() { # KIND [WORD...]\n"
    "    local kind=$1\n"
    "    shift\n"
    "    case $kind in\n"
    "    files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    keys) compopt -o nospace 2>/dev/null; mapfile -t COMPREPLY < <(compgen -W \"$_warmpool_keys\" -- "
    "\"$cur\") ;;\n"
    "    words) mapfile -t COMPREPLY < <(compgen -W \"$*\" -- \"$cur\") ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "# How many arguments that are no options stand before the word COMP_WORDS[$1]?\n"
    "_warmpool_count() {\n"
    "    local i count=0\n"
    "    for ((i = 2; i < $1; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        =) ((i++)) ;;\n"
    "        -*)\n"
    "            if _warmpool_value \"${COMP_WORDS[1]}\" \"${COMP_WORDS[i]}\" >/dev/null; then\n"
    "                ((i++))\n"
    "                [[ ${COMP_WORDS[i]} != = ]] || ((i++))\n"
    "            fi ;;\n"
    "        *) ((count++)) ;;\n"
    "        esac\n"
    "    done\n"
    "    echo \"$count\"\n"
    "}\n"
    "\n"
    "# bash takes the = of --option=value and of section.key=value for a word of its own; it is "
    "COMP_WORDS[$1].\n"
    "_warmpool_after_equals() {\n"
    "    local value name=${COMP_WORDS[$1 - 1]}\n"
    "    if [[ ${COMP_WORDS[$1 - 2]} == -o ]]; then\n"
    "        _warmpool_offer words \"$(_warmpool_key_values \"$name\")\"\n"
    "    elif value=$(_warmpool_value \"${COMP_WORDS[1]}\" \"$name\"); then\n"
    "        _warmpool_offer $value\n"
    "    fi\n"
    "}\n"
    "\n"
    "_warmpool() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} at=$COMP_CWORD command=${COMP_WORDS[1]} value most\n"
    "    COMPREPLY=()\n"
    "    if ((at == 1)); then\n"
    "        _warmpool_offer words \"$_warmpool_subcommands --help --version\"\n"
    "        return\n"
    "    fi\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    elif [[ ${COMP_WORDS[at - 1]} == = ]]; then\n"
    "        ((at--))\n"
    "    fi\n"
    "    if [[ ${COMP_WORDS[at]} == = ]]; then\n"
    "        _warmpool_after_equals \"$at\"\n"
    "    elif value=$(_warmpool_value \"$command\" \"${COMP_WORDS[at - 1]}\"); then\n"
    "        _warmpool_offer $value\n"
    "    elif [[ $cur != -* ]] && value=$(_warmpool_arguments \"$command\"); then\n"
    "        most=${value%% *}\n"
    "        (($(_warmpool_count \"$at\") < most)) && _warmpool_offer ${value#* }\n"
    "    else\n"
    "        _warmpool_offer words \"$(_warmpool_options \"$command\")\"\n"
    "    fi\n"
    "}\n"
    "complete -F _warmpool warmpool\n";

static void print_kind(FILE *out, const char *value, const struct wp_subcommand *const *all) {
    static const char *const names[] = {"any", "files", "folders", "keys", "words "};
    enum wp_value_kind kind = wp_value_kind(value);
    fputs(names[kind], out);
    if (kind == WP_VALUE_WORDS) wp_value_words(out, value, all);
}

/* ---- keys ---- */

static void print_key(void *ctx, const struct wp_config_key *key) {
    fprintf(ctx, "%.*s%s ", (int)key->name.len, key->name.ptr, key->family ? "" : "=");
}

static void print_key_values(void *ctx, const struct wp_config_key *key) {
    if (!key->words) return;
    fprintf(ctx, "    %.*s) echo '", (int)key->name.len, key->name.ptr);
    wp_value_words(ctx, key->words, NULL);
    fputs("' ;;\n", ctx);
}

static void print_keys(FILE *out) {
    fputs("_warmpool_keys='", out);
    wp_config_each_key(print_key, out);
    fputs("'\n\n_warmpool_key_values() { # KEY\n    case $1 in\n", out);
    wp_config_each_key(print_key_values, out);
    fputs("    esac\n}\n\n", out);
}

/* ---- subcommands ---- */

static void print_options(FILE *out, const struct wp_subcommand *command) {
    const struct wp_shared_option *shared;
    fprintf(out, "    %s) echo '", command->name);
    for (size_t i = 0; i < wp_option_count(command->options); i++)
        fprintf(out, "--%s ", command->options[i].name);
    for (size_t at = 0; (shared = wp_shared_option_next(command, &at));) {
        if (shared->letter) fprintf(out, "-%c ", shared->letter);
        if (shared->name) fprintf(out, "--%s ", shared->name);
    }
    fputs("' ;;\n", out);
}

static void print_values(FILE *out, const struct wp_subcommand *command,
                         const struct wp_subcommand *const *all) {
    const struct wp_shared_option *shared;
    for (size_t i = 0; i < wp_option_count(command->options); i++) {
        if (!command->options[i].argument) continue;
        fprintf(out, "    '%s --%s') echo '", command->name, command->options[i].name);
        print_kind(out, command->options[i].argument, all);
        fputs("' ;;\n", out);
    }
    for (size_t at = 0; (shared = wp_shared_option_next(command, &at));) {
        if (!shared->argument) continue;
        fprintf(out, "    '%s -%c') echo '", command->name, shared->letter);
        print_kind(out, shared->argument, all);
        fputs("' ;;\n", out);
    }
}

static void print_arguments(FILE *out, const struct wp_subcommand *command,
                            const struct wp_subcommand *const *all) {
    if (!command->values) return;
    fprintf(out, "    %s) echo '%d ", command->name, wp_value_repeats(command) ? 99 : 1);
    print_kind(out, command->values, all);
    fputs("' ;;\n", out);
}

static void print_subcommands(FILE *out, const struct wp_subcommand *const *all) {
    fputs("_warmpool_subcommands='", out);
    wp_value_words(out, "SUBCOMMAND", all);
    fputs("'\n\n_warmpool_options() { # SUBCOMMAND\n    case $1 in\n", out);
    for (size_t i = 0; all[i]; i++) print_options(out, all[i]);
    fputs("    esac\n}\n\n# What follows an option: its kind, and the words.\n"
          "_warmpool_value() { # SUBCOMMAND OPTION\n    case \"$1 $2\" in\n",
          out);
    for (size_t i = 0; all[i]; i++) print_values(out, all[i], all);
    fputs("    *) return 1 ;;\n    esac\n}\n\n# Arguments that are no options: how many, their kind, and the "
          "words.\n"
          "_warmpool_arguments() { # SUBCOMMAND\n    case $1 in\n",
          out);
    for (size_t i = 0; all[i]; i++) print_arguments(out, all[i], all);
    fputs("    *) return 1 ;;\n    esac\n}\n\n", out);
}

void wp_completion_print_bash(FILE *out, const struct wp_subcommand *const *all) {
    fputs("# Completion of warmpool in bash: warmpool help --completion bash\n\n", out);
    print_subcommands(out, all);
    print_keys(out);
    fputs(functions, out);
}
