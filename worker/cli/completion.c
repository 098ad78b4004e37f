/* Which shell's script is printed. */
#include "cli/completion.h"
#include <string.h>
#include "cli/completion_bash.h"
#include "cli/completion_fish.h"
#include "cli/completion_zsh.h"

bool wp_completion_print(FILE *out, const struct wp_subcommand *const *all, const char *shell) {
    if (strcmp(shell, "bash") == 0)
        wp_completion_print_bash(out, all);
    else if (strcmp(shell, "zsh") == 0)
        wp_completion_print_zsh(out, all);
    else if (strcmp(shell, "fish") == 0)
        wp_completion_print_fish(out, all);
    else
        return false;
    return true;
}
