/* Prints the table of parameters as the man page warmpool.ini(5), and hands out its keys for completion. */
#include "core/config_table.h"
#include "core/roff.h"

static void print_facts(FILE *out, const struct wp_param *param) {
    struct wp_buf facts = {0}, values = {0};
    wp_param_describe(param, &values);
    wp_buf_printf(&facts, "%.*s%s%s; default: ", (int)values.len, values.data, *param->unit ? " " : "",
                  param->unit);
    if (*param->default_value)
        wp_buf_printf(&facts, "`%s`", param->default_value);
    else
        wp_buf_add_str(&facts, "empty");
    wp_buf_printf(&facts, "; changed by reload: %s%c", wp_applies_word(wp_param_applies(param)), '\0');
    wp_roff_text(out, facts.data);
    wp_buf_done(&facts);
    wp_buf_done(&values);
}

static void print_key(FILE *out, const struct wp_param *param) {
    size_t fixed = wp_param_is_family(param) ? wp_param_prefix(param) : strlen(param->key);
    fputs(".TP\n\\fB", out);
    wp_roff_word(out, param->key, fixed);
    fprintf(out, "\\fR%s%s%s\n", param->key[fixed] ? "\\fI" : "", param->key + fixed,
            param->key[fixed] ? "\\fR" : "");
    wp_roff_text(out, param->text);
    fputs(".br\n", out);
    print_facts(out, param);
}

void wp_config_print_man(FILE *out) {
    wp_roff_begin(out, WP_CONFIG_PAGE, "5", "configuration of warmpool");
    wp_roff_section(out, "DESCRIPTION");
    wp_roff_markdown(out, wp_config_introduction);
    wp_roff_section(out, "KEYS");
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (wp_param_starts_section(param))
            fprintf(out, ".SS \"[%.*s]\"\n", (int)wp_param_section(param), param->key);
        print_key(out, param);
    }
    fputs(".SH \"SEE ALSO\"\n.BR warmpool (1),\n.BR warmpool\\-check (1)\n", out);
}

void wp_config_each_key(void (*visit)(void *ctx, const struct wp_config_key *key), void *ctx) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        bool family = wp_param_is_family(param);
        struct wp_config_key key = {
            .name = {param->key, family ? wp_param_prefix(param) : strlen(param->key)},
            .family = family,
            .words = param->type == WP_PARAM_FLAG ? "true,false" : param->choices,
            .text = param->text,
        };
        visit(ctx, &key);
    }
}
