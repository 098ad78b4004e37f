/* Owns the question whether a Docker engine answers: asked once, before the tests of an executable that needs
 * one. */
#include "support/engine_shared.h"
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdio.h>
#include <stdlib.h>

#define SKIPPED 77 /* as CMakeLists.txt says it to ctest */

ReportHook(PRE_ALL)(struct criterion_test_set *tests) {
    (void)tests;
    if (system(SOURCE_DIR "/tests/support/engine ping") != 0) {
        fprintf(stderr, "skipped: these tests need a Docker engine (DOCKER_HOST says where)\n");
        exit(SKIPPED);
    }
    if (system(SOURCE_DIR "/tests/support/engine image") != 0) exit(1);
}

void engine_shared(void) {}
