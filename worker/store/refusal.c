/* The table of errors by which a Redis server says that it cannot serve. */
#include "store/refusal.h"
#include <stdio.h>
#include <string.h>

static const struct wp_refusal_words table[] = {
    {"READONLY", "it is a replica, not the primary; the primary is looked for at this address again", true},
    {"OOM",
     "it has no memory left (maxmemory); raise maxmemory or lower cache.max_bytes; what frees memory still "
     "runs",
     false},
    {"MISCONF", "it takes no writes because it cannot save them; see its log and its disk", false},
    {"NOREPLICAS", "it takes no writes because fewer replicas follow it than min-replicas-to-write", false},
    {"LOADING", "it is loading its data", false},
    {"MASTERDOWN", "it is a replica that has lost its primary; give the address of the primary", true},
    {"CLUSTERDOWN", "its cluster is down", false},
    {"MOVED",
     "it is a node of a Redis Cluster that does not hold this slot; give the address of the primary that "
     "does",
     true},
    {"ASK", "its cluster is moving this slot; give the address of the primary that holds it", true},
    {"CROSSSLOT",
     "it is a Redis Cluster, and the prefix puts keys of one call in several slots; leave redis.prefix "
     "without braces",
     false},
    {"TRYAGAIN", "a newer worker has taken over its state; stop this worker, or give it the same version",
     false},
    {"NOAUTH", "it wants a user and a password; write them into the URL, redis://USER:PASSWORD@HOST:PORT",
     false},
    {"NOPERM", "its user may not do that; see redis/users.acl for the rights that a worker needs", false},
    {"BUSY", "it is busy with a script of somebody else", false},
    {"WRONGTYPE", "a key of this worker's prefix has another type, so somebody has changed it; delete it",
     false},
};

const struct wp_refusal_words *wp_refusal_of(const char *text) {
    size_t len = strcspn(text, " ");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strlen(table[i].code) == len && strncmp(table[i].code, text, len) == 0) return &table[i];
    return NULL;
}

static bool begins_with(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* Errors that concern a call alone: the next call, or a new connection, mends them. */
static bool is_of_the_call(const struct wp_function *function, const char *error) {
    static const char *const errors[] = {"TIMEGAP ", "NOSETTINGS ", "NOTREGISTERED ",
                                         "ERR Function not found"};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (begins_with(error, errors[i])) return true;
    return function->events && begins_with(error, "WPFN ");
}

bool wp_refusal_describe(const struct wp_function *function, const char *error, char *ret_text, size_t size) {
    const struct wp_refusal_words *refusal = wp_refusal_of(error);
    if (refusal)
        (void)snprintf(ret_text, size, "%s (%s)", refusal->means, error);
    else if (function->timed && !is_of_the_call(function, error))
        (void)snprintf(ret_text, size, "its function %s fails (%s)", function->name, error);
    else
        return false;
    return true;
}
