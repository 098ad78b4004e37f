/* Figures that are in no counter: see figures.h. */
#include "ops/figures.h"
#include <stdio.h>
#include <unistd.h>

json_t *wp_ops_parse(const redisReply *reply) {
    if (!reply || reply->type != REDIS_REPLY_STRING) return NULL;
    json_t *value = json_loadb(reply->str, reply->len, 0, NULL);
    if (json_is_object(value)) return value;
    json_decref(value);
    return NULL;
}

uint64_t wp_ops_rss_bytes(void) {
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
