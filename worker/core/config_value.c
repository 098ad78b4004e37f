/* Converts text to a field of struct wp_config and back, one function per type. No state; any thread. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "core/config_table.h"

/* ---- lists of words: "avro,confluent,json" ---- */

/* Cuts the next item off a comma-separated list, without the blanks around it; false at the end. */
static bool next_item(const char **at, struct wp_str *ret) {
    if (**at == '\0') return false;
    size_t len = strcspn(*at, ",");
    struct wp_str item = {*at, len};
    *at += len + ((*at)[len] == ',');
    while (item.len && item.ptr[0] == ' ') item = (struct wp_str){item.ptr + 1, item.len - 1};
    while (item.len && item.ptr[item.len - 1] == ' ') item.len--;
    *ret = item;
    return true;
}

static int position(const char *choices, struct wp_str word) {
    struct wp_str choice;
    for (int i = 0; next_item(&choices, &choice); i++) {
        if (wp_str_eq(choice, word)) return i;
    }
    return -1;
}

static struct wp_str choice_at(const char *choices, int wanted) {
    struct wp_str choice = {0};
    for (int i = 0; i <= wanted && next_item(&choices, &choice); i++) {
    }
    return choice;
}

/* ---- what is wanted ---- */

static void describe_choices(const char *choices, const char *last, struct wp_buf *out) {
    struct wp_str choice;
    for (bool first = true; next_item(&choices, &choice); first = false) {
        if (!first) wp_buf_add_str(out, *choices ? ", " : last);
        wp_buf_add(out, choice.ptr, choice.len);
    }
}

void wp_param_describe(const struct wp_param *param, struct wp_buf *out) {
    switch (param->type) {
    case WP_PARAM_TEXT:
    case WP_PARAM_TEXTS:
        wp_buf_add_str(out, param->min > 0 ? "text, not empty" : "text");
        break;
    case WP_PARAM_NAME:
        wp_buf_printf(out, "%s1 to 64 of A-Z a-z 0-9 _ . -", param->min > 0 ? "" : "empty, or ");
        break;
    case WP_PARAM_WORD:
    case WP_PARAM_CHOICE:
        describe_choices(param->choices, " or ", out);
        break;
    case WP_PARAM_SET:
        wp_buf_add_str(out, "some of ");
        describe_choices(param->choices, ", ", out);
        wp_buf_add_str(out, ", separated by commas");
        break;
    case WP_PARAM_INT:
    case WP_PARAM_INTS:
        wp_buf_printf(out, "a whole number from %.0f to %.0f", param->min, param->max);
        break;
    case WP_PARAM_NUMBER:
        wp_buf_printf(out, "a number from %g to %.0f", param->min, param->max);
        break;
    case WP_PARAM_FLAG:
        wp_buf_add_str(out, "true or false");
        break;
    case WP_PARAM_COUNTS:
        wp_buf_printf(out, "name:count, separated by commas, each count from %.0f to %.0f", param->min,
                      param->max);
        break;
    }
}

static enum wp_err wanted(const struct wp_param *param, struct wp_error *error) {
    struct wp_buf text = {0};
    wp_param_describe(param, &text);
    wp_fail(error, WP_ERR_CONFIG, "%.*s is wanted", (int)text.len, text.data);
    wp_buf_done(&text);
    return WP_ERR_CONFIG;
}

/* ---- parsing ---- */

static bool parse_number(const char *text, double *ret) {
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    /* strtod knows hexadecimal, infinities and NaN; a configuration does not. */
    return end != text && *end == '\0' && errno == 0 && isfinite(*ret) && !strpbrk(text, "xXpP") &&
           text[0] > ' ';
}

static bool parse_int(struct wp_str text, int64_t *ret) {
    char digits[24];
    if (text.len == 0 || text.len >= sizeof(digits)) return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    if (strspn(digits, "-0123456789") != text.len) return false;
    char *end;
    errno = 0;
    *ret = strtoll(digits, &end, 10);
    return errno == 0 && *end == '\0' && end != digits;
}

bool wp_param_parse_flag(const char *text, bool *ret) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *ret = i % 2 == 1;
        return true;
    }
    return false;
}

static bool in_range(const struct wp_param *param, double value) {
    return value >= param->min && value <= param->max;
}

static bool is_int(const struct wp_param *param, struct wp_str text, int64_t *ret) {
    return parse_int(text, ret) && in_range(param, (double)*ret);
}

static bool parse_set(const struct wp_param *param, const char *text, unsigned *ret) {
    unsigned bits = 0;
    struct wp_str word;
    while (next_item(&text, &word)) {
        int bit = position(param->choices, word);
        if (bit < 0) return false;
        bits |= 1u << bit;
    }
    *ret = bits;
    return bits != 0;
}

static bool parse_counts(const struct wp_param *param, const char *text, struct wp_settings *ret) {
    struct wp_str item;
    while (next_item(&text, &item)) {
        const char *colon = memchr(item.ptr, ':', item.len);
        if (!colon) return false;
        struct wp_str name = {item.ptr, (size_t)(colon - item.ptr)};
        struct wp_str count = {colon + 1, item.len - name.len - 1};
        int64_t number;
        if (!wp_str_is_name(name) || !is_int(param, count, &number)) return false;
        char *key = wp_strndup(name), *value = wp_strndup(count);
        wp_settings_set(ret, key, value);
        free(key);
        free(value);
    }
    return true;
}

static bool set_counts(const struct wp_param *param, const char *text, struct wp_settings *field) {
    struct wp_settings parsed = {0};
    bool good = parse_counts(param, text, &parsed);
    struct wp_settings old = good ? *field : parsed;
    if (good) *field = parsed;
    wp_settings_done(&old);
    return good;
}

static bool fits_text(const struct wp_param *param, const char *value) {
    struct wp_str text = wp_str(value);
    if (param->type == WP_PARAM_WORD) return position(param->choices, text) >= 0;
    if (!in_range(param, (double)text.len) || !wp_str_is_utf8(text)) return false;
    return param->type != WP_PARAM_NAME || text.len == 0 || wp_str_is_name(text);
}

static bool set_text(const struct wp_param *param, const char *value, char **field) {
    if (!fits_text(param, value)) return false;
    char *copy = wp_strdup(value);
    free(*field);
    *field = copy;
    return true;
}

static bool set_choice(const struct wp_param *param, const char *value, void *field) {
    int chosen = position(param->choices, wp_str(value));
    if (chosen < 0) return false;
    unsigned as_enum = (unsigned)chosen; /* every enum of the configuration is stored as an unsigned int */
    memcpy(field, &as_enum, sizeof(as_enum));
    return true;
}

static bool set_int(const struct wp_param *param, const char *value, int64_t *field) {
    int64_t number;
    if (!is_int(param, wp_str(value), &number)) return false;
    *field = number;
    return true;
}

static bool set_number(const struct wp_param *param, const char *value, double *field) {
    double number;
    if (!parse_number(value, &number) || !in_range(param, number)) return false;
    *field = number;
    return true;
}

static bool set_member(const struct wp_param *param, const char *member, const char *value,
                       struct wp_settings *field) {
    int64_t number;
    bool good =
        param->type == WP_PARAM_INTS ? is_int(param, wp_str(value), &number) : fits_text(param, value);
    if (good) wp_settings_set(field, member, value);
    return good;
}

enum wp_err wp_param_set(struct wp_config *config, const struct wp_param *param, const char *member,
                         const char *value, struct wp_error *error) {
    void *field = wp_param_field(config, param);
    bool good = false;
    switch (param->type) {
    case WP_PARAM_TEXT:
    case WP_PARAM_NAME:
    case WP_PARAM_WORD:
        good = set_text(param, value, field);
        break;
    case WP_PARAM_CHOICE:
        good = set_choice(param, value, field);
        break;
    case WP_PARAM_SET:
        good = parse_set(param, value, field);
        break;
    case WP_PARAM_INT:
        good = set_int(param, value, field);
        break;
    case WP_PARAM_NUMBER:
        good = set_number(param, value, field);
        break;
    case WP_PARAM_FLAG:
        good = wp_param_parse_flag(value, field);
        break;
    case WP_PARAM_COUNTS:
        good = set_counts(param, value, field);
        break;
    case WP_PARAM_TEXTS:
    case WP_PARAM_INTS:
        good = set_member(param, member, value, field);
        break;
    }
    return good ? WP_OK : wanted(param, error);
}

/* ---- formatting ---- */

static void format_choice(const struct wp_param *param, const void *field, struct wp_buf *out) {
    unsigned chosen;
    memcpy(&chosen, field, sizeof(chosen));
    struct wp_str word = choice_at(param->choices, (int)chosen);
    wp_buf_add(out, word.ptr, word.len);
}

static void format_set(const struct wp_param *param, unsigned bits, struct wp_buf *out) {
    const char *separator = "";
    for (int i = 0; bits >> i; i++) {
        if (!(bits & (1u << i))) continue;
        struct wp_str word = choice_at(param->choices, i);
        wp_buf_printf(out, "%s%.*s", separator, (int)word.len, word.ptr);
        separator = ",";
    }
}

static void format_counts(const struct wp_settings *settings, struct wp_buf *out) {
    for (size_t i = 0; i < settings->count; i++) {
        wp_buf_printf(out, "%s%s:%s", i ? "," : "", settings->list[i].key, settings->list[i].value);
    }
}

void wp_param_format(const struct wp_config *config, const struct wp_param *param, struct wp_buf *out) {
    wp_assert(!wp_param_is_family(param)); /* it has no single value */
    const void *field = wp_param_field(config, param);
    switch (param->type) {
    case WP_PARAM_TEXT:
    case WP_PARAM_NAME:
    case WP_PARAM_WORD:
        wp_buf_add_str(out, *(char *const *)field);
        break;
    case WP_PARAM_CHOICE:
        format_choice(param, field, out);
        break;
    case WP_PARAM_SET:
        format_set(param, *(const unsigned *)field, out);
        break;
    case WP_PARAM_INT:
        wp_buf_printf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case WP_PARAM_NUMBER:
        wp_buf_printf(out, "%.10g", *(const double *)field);
        break;
    case WP_PARAM_FLAG:
        wp_buf_add_str(out, *(const bool *)field ? "true" : "false");
        break;
    case WP_PARAM_COUNTS:
        format_counts(field, out);
        break;
    case WP_PARAM_TEXTS:
    case WP_PARAM_INTS:
        break;
    }
}
