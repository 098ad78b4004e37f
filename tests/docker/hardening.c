/* What a container may not do, tried from inside of it, on a real engine. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>
#include "support/engine_shared.h"
#include "support/limits.h"
#include "support/runtime_bench.h"

TestSuite(docker_hardening, .init = engine_shared, .timeout = TEST_LIMIT_S);

/* Starts one whose command writes what it found to /tmp/found, and reads that. */
static const char *tried(const char *what) {
    static char found[4096];
    char *command = wp_format("{ %s; } >/tmp/found 2>&1; : >/tmp/ready; exec sleep 100000", what);
    struct bench *bench = bench_new_docker(command);
    free(command);
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    bench_set(bench, "docker.pids", "16");
    bench_open_runtime(bench);
    char *id = wp_format("wp-%s", bench->config.host.name);
    bench_create_sized(bench, id, 32);
    bench_wait(bench, 1);
    cr_assert_eq(bench_last(bench)->state, WP_CONTAINER_READY, "%s", bench_last(bench)->detail);
    snprintf(found, sizeof found, "%s", bench_engine("run %s cat /tmp/found", id));
    free(id);
    bench_close(bench);
    return found;
}

Test(docker_hardening, the_root_is_read_only_and_tmp_runs_no_programs) {
    const char *found = tried("touch /etc/x; cp /bin/busybox /tmp/mine; chmod 755 /tmp/mine; /tmp/mine true");
    cr_expect(strstr(found, "Read-only file system"), "%s", found);
    cr_expect(strstr(found, "/tmp/mine: Permission denied"), "%s", found);
}

Test(docker_hardening, it_is_nobody_without_capabilities_or_a_way_to_new_ones) {
    const char *found = tried("id -u; cat /proc/self/status");
    cr_expect_eq(strncmp(found, "65534\n", 6), 0, "%s", found);
    cr_expect(strstr(found, "CapEff:\t0000000000000000"), "%s", found);
    cr_expect(strstr(found, "CapBnd:\t0000000000000000"), "%s", found);
    cr_expect(strstr(found, "NoNewPrivs:\t1"), "%s", found);
}

Test(docker_hardening, forks_end_at_the_limit_of_processes) {
    const char *found =
        tried("(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 3 & done)");
    cr_expect(strstr(found, "can't fork"), "%s", found);
}

/* What asks for more memory is the container's only process: with a shell beside it the kernel may end
 * either. */
Test(docker_hardening, memory_ends_at_the_limit) {
    struct bench *bench = bench_new_docker("exec dd if=/dev/zero of=/dev/null bs=64M count=1");
    bench_set(bench, "docker.ready", "file:/tmp/ready");
    bench_open_runtime(bench);
    char *id = wp_format("wp-%s", bench->config.host.name);
    bench_create_sized(bench, id, 32);
    do bench_wait(bench, bench->count + 1);
    while (bench_last(bench)->state == WP_CONTAINER_OUT_OF_MEMORY);
    cr_expect_eq(bench_last(bench)->state, WP_CONTAINER_FAILED);
    cr_expect_str_eq(
        bench_last(bench)->detail,
        "it needed more than its memory limit of 32 MB, and ended with status 137 before it was ready");
    free(id);
    bench_close(bench);
}

Test(docker_hardening, it_has_no_network) {
    const char *found = tried("cat /proc/net/dev");
    cr_expect(strstr(found, "lo:"), "%s", found);
    cr_expect_null(strstr(found, "eth0"), "%s", found);
}
