/* Whom the registry tells that the ids to write with were found, or cannot be. */
#ifndef WP_REGISTRY_HANDLER_H
#define WP_REGISTRY_HANDLER_H

struct wp_registry_handler {
    void (*ready)(void *ctx);                    /* all ids to write with are known */
    void (*refused)(void *ctx, const char *why); /* final: a sentence that says how to mend it */
};

#endif
