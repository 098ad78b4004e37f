/* Owns the words for the ends of containers. */
#include "core/ends.h"
#include <string.h>

const char *const wp_end_words[WP_ENDS + 1] = {
    [WP_END_EXITED] = "exited",   [WP_END_KILLED] = "killed",       [WP_END_OUT_OF_MEMORY] = "out_of_memory",
    [WP_END_REMOVED] = "removed", [WP_END_UNHEALTHY] = "unhealthy", [WP_END_NOT_PREPARED] = "not_prepared",
    [WP_ENDS] = "other"};

enum wp_end wp_end_of(struct wp_str reason) {
    int end = 0;
    for (; end < WP_ENDS; end++) {
        size_t length = strlen(wp_end_words[end]);
        if (reason.len > length && memcmp(reason.ptr, wp_end_words[end], length) == 0 &&
            reason.ptr[length] == ':')
            break;
    }
    return (enum wp_end)end;
}
