/* The errors by which a Redis server refuses calls because of its own state: what each means and what mends
 * it. Pure. */
#ifndef WP_STORE_REFUSAL_H
#define WP_STORE_REFUSAL_H
#include <stdbool.h>
#include <stddef.h>
#include "store/functions.h"

struct wp_refusal_words {
    const char *code;  /* the first word of Redis' error */
    const char *means; /* what is wrong and how to mend it */
    bool anew;         /* connect anew: the address may lead to another server by now */
};

/* text: an error reply of Redis. NULL: the error is not about the server's state. */
const struct wp_refusal_words *wp_refusal_of(const char *text);
/* What an error reply to a call of that function means, in words. False: it concerns the call alone. */
bool wp_refusal_describe(const struct wp_function *function, const char *error, char *ret_text, size_t size);

#endif
