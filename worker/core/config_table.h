/* The table of parameters and the functions that read it. Used only by core/config*.c. */
#ifndef WP_CORE_CONFIG_TABLE_H
#define WP_CORE_CONFIG_TABLE_H
#include "core/config.h"

enum wp_param_type {
    WP_PARAM_TEXT,   /* char *; min and max are lengths in bytes */
    WP_PARAM_NAME,   /* char *; [A-Za-z0-9_.-]{1,64}, or empty when min is 0 */
    WP_PARAM_WORD,   /* char *; one of `choices` */
    WP_PARAM_CHOICE, /* an enum; the position in `choices` */
    WP_PARAM_SET,    /* unsigned; bits of positions in `choices` */
    WP_PARAM_INT,    /* int64_t */
    WP_PARAM_NUMBER, /* double */
    WP_PARAM_FLAG,   /* bool */
    WP_PARAM_COUNTS, /* struct wp_settings from "name:count,name:count" */
    WP_PARAM_TEXTS,  /* a family of open keys with any text: kafka.* */
    WP_PARAM_INTS,   /* a family keyed by a name, with whole numbers: cache.ttl.* */
};

struct wp_param {
    const char
        *key; /* "pool.size"; a family's ends with the word its keys stand for: "cache.ttl.NAMESPACE" */
    enum wp_param_type type;
    size_t offset;             /* in struct wp_config */
    const char *default_value; /* as it would be written in a file; a family's: "key=value,key=value" */
    double min, max;
    const char *choices; /* "avro,confluent,json" */
    const char *unit;    /* empty when there is none */
    const char *text;    /* one phrase for --help and the reference; Markdown without line breaks */
};

extern const char wp_config_introduction[]; /* the reference up to its first section; Markdown */
extern const struct wp_param wp_params[];   /* sorted as printed; a key of NULL ends it */

bool wp_param_is_family(const struct wp_param *param);
/* Bytes of a family's fixed part: 10 of "cache.ttl.NAMESPACE". */
size_t wp_param_prefix(const struct wp_param *param);
/* Bytes of the section: 4 of "pool.size"; and is this the first parameter of its section? The table keeps
 * sections together. */
size_t wp_param_section(const struct wp_param *param);
bool wp_param_starts_section(const struct wp_param *param);
/* The parameter of a full key; NULL when there is none. *ret_member: with a family the rest of the key, else
 * NULL. */
const struct wp_param *wp_param_find(const char *key, const char **ret_member);
/* The key that is spelled most alike. Never NULL. */
const struct wp_param *wp_param_nearest(const char *key);

/* When a changed value of the parameter applies to a worker that runs. */
enum wp_applies wp_param_applies(const struct wp_param *param);

/* Stores a value. The error says which values are accepted, without the key: "a whole number from 0 to 5". */
enum wp_err wp_param_set(struct wp_config *config, const struct wp_param *param, const char *member,
                         const char *value, struct wp_error *error) WP_MUST_CHECK;
bool wp_param_parse_flag(const char *text, bool *ret); /* false: it is no flag */
/* Appends the value in force as it would be written in a file; not for families. */
void wp_param_format(const struct wp_config *config, const struct wp_param *param, struct wp_buf *out);
/* Appends the value as it may be shown: without passwords. */
void wp_param_mask(struct wp_buf *out, const char *key, const char *value);
/* Appends the values that it takes, for people: "avro, confluent or json", "0 to 100000". */
void wp_param_describe(const struct wp_param *param, struct wp_buf *out);

static inline void *wp_param_field(const struct wp_config *config, const struct wp_param *param) {
    return (char *)config + param->offset;
}

#endif
