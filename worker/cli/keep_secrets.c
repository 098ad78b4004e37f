/* See keep_secrets.h. Owns nothing. */
#include "cli/keep_secrets.h"
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include "core/secret.h"

/* hiredis before 1.0, Debian 12's, frees its buffers as they are. */
static void have_hiredis_wipe(void) {
#if HIREDIS_MAJOR >= 1
    hiredisAllocFuncs wiping = {.mallocFn = malloc,
                                .callocFn = calloc,
                                .reallocFn = wp_realloc_wiped,
                                .strdupFn = strdup,
                                .freeFn = wp_free_wiped};
    hiredisSetAllocators(&wiping);
#endif
}

void wp_keep_secrets(void) {
    prctl(PR_SET_DUMPABLE, 0);
    have_hiredis_wipe();
    json_set_alloc_funcs(malloc, wp_free_wiped);
}
