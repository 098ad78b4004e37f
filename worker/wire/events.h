/* The events and records as all other modules use them: one struct per topic, with the fields of its schema
 * in schemas/. Strings are borrowed from the message or its arena. Absent numbers are WP_ABSENT (doubles:
 * NAN); absent strings have ptr NULL. */
#ifndef WP_WIRE_EVENTS_H
#define WP_WIRE_EVENTS_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/str.h"

#define WP_ABSENT INT64_MIN

struct wp_acquire {
    struct wp_str request_id, agent_id, philosophy, tenant;
    int64_t timeout_ms, lease_ms;
    double cpu_percent, memory_mb;
    struct wp_str claim; /* the datum of a map of strings (wire/avro.h avro_map_next); never logged */
};

struct wp_release {
    struct wp_str request_id, philosophy, container_id;
    bool reuse; /* default true */
};

struct wp_usage {
    struct wp_str record_id, agent_id, philosophy;
    double cpu_percent, memory_usage_mb, execution_time; /* percent of one core, MiB, seconds */
};

struct wp_cache_event {
    struct wp_str event_id, op, ns /* "namespace" */, key, value;
    bool has_value;
    int64_t ttl_seconds, count;
};

struct wp_control {
    struct wp_str control_id, philosophy, op;
    int64_t count;
};

struct wp_container_event {
    struct wp_str container_id, philosophy, host, state, detail, address, image;
    double queue_ms, create_ms, start_ms, ready_ms; /* of a start; NAN: not known */
};

union wp_event { /* the topic tells which one */
    struct wp_acquire acquire;
    struct wp_release release;
    struct wp_usage usage;
    struct wp_cache_event cache;
    struct wp_control control;
    struct wp_container_event container;
};

/* Out. */

struct wp_requirements {
    double cpu_percent, memory_mb, execution_time_seconds;
};
struct wp_limits {
    double cpu_percent, memory_mb;
};

struct wp_startup { /* what startup_time_ms was spent on, ms */
    double queue_ms, create_ms, start_ms, ready_ms, bind_ms, publish_ms;
};

struct wp_assignment {
    struct wp_str request_id, agent_id, philosophy, status, container_id, host, address;
    bool warm_start;
    double startup_time_ms, wait_ms;
    int64_t lease_epoch, lease_expires_at; /* expires: ms since 1970, 0 = never */
    struct wp_limits limits;
    struct wp_requirements requirements, recommended;
    double confidence;
    struct wp_str basis, reason;
    int64_t retry_after_ms;
    struct wp_str image, tier; /* tier: cold, hot or paused */
    struct wp_str tenant;      /* not in the record */
    bool has_startup;          /* set for a cold start, or when a bind was needed */
    struct wp_startup startup;
};

struct wp_command {
    struct wp_str command_id, host, op, container_id, philosophy;
    struct wp_limits limits;
};

struct wp_cache_result {
    struct wp_str event_id, op, ns /* "namespace" */, key;
    bool hit, has_value;
    struct wp_str value;
    int64_t ttl_seconds; /* left to live, rounded up */
    struct wp_str reason;
    int64_t count; /* entries removed by clear, the limit after resize */
};

struct wp_prediction {
    struct wp_str philosophy;
    struct wp_requirements requirements, recommended;
    double confidence;
    int64_t samples;
    struct wp_str basis; /* default (no sample), low, medium, high: the band that chose `recommended` */
};

#endif
