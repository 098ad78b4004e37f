/* A call that fails has changed nothing: Lua does not roll back, so all arguments are looked at before the
 * first write. Every field of every event is made wrong in every way. */
#include "support/limits.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct pool_slot slot;
static void start(void) {
    pool_slot_start_with(&slot, &(struct test_redis_options){.args = {"--enable-debug-command", "yes"}});
}
static void stop(void) {
    pool_slot_stop(&slot);
}
TestSuite(pool_arguments, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* Of all that Redis holds; the caller's. */
static char *digest(void) {
    redisReply *reply = test_redis_command(&slot.redis, "DEBUG DIGEST");
    char *text = wp_strdup(reply->str);
    freeReplyObject(reply);
    return text;
}

/* Values of the wrong kind, by number. */
enum { WRONG = 8 };
static void pack_wrong(struct wp_buf *out, int which) {
    switch (which) {
    case 0:
        wp_pack_bool(out, false);
        break;
    case 1:
        wp_pack_bool(out, true);
        break;
    case 2:
        wp_pack_str(out, wp_str(""));
        break;
    case 3:
        wp_pack_str(out, wp_str("words"));
        break;
    case 4:
        wp_pack_int(out, -1);
        break;
    case 5:
        wp_pack_double(out, 1e300);
        break;
    case 6:
        wp_pack_array(out, 0);
        break;
    default:
        wp_pack_map(out, 0);
    }
}

/* An event of text, number and absent fields: "s:react", "i:5", "-". */
struct shape {
    enum pool_topic topic;
    const char *fields[16];
};

static const struct shape shapes[] = {
    {POOL_ACQUIRE,
     {"i:1000", "i:-1", "s:\xa0\xa0", "s:new", "s:a", "s:react", "s:default", "i:9000", "i:60000", "i:50",
      "i:200", "s:", "s:{}"}},
    {POOL_RELEASE, {"s:leased", "s:react", "s:", "b"}},
    {POOL_USAGE, {"s:u1", "s:a", "s:react", "i:1", "i:1", "i:1"}},
    {POOL_CONTROL, {"s:c1", "s:react", "s:pre_warm", "i:5"}},
    {POOL_CONTROL, {"s:c2", "s:react", "s:resize", "i:5"}},
    {POOL_CONTROL, {"s:c3", "s:react", "s:expire", "i:2"}},
    {POOL_CONTROL, {"s:c4", "s:react", "s:drain", "-"}},
    {POOL_EVENT,
     {"s:CREATING", "s:react", "s:h1", "s:ready", "s:", "s:a:1", "s:i", "i:1", "i:1", "i:1", "i:1"}},
    {POOL_EVENT, {"s:CREATING", "s:react", "s:h1", "s:failed", "s:why", "s:"}},
    {POOL_EVENT, {"s:LEASED", "s:react", "s:h1", "s:died", "s:why", "s:"}},
    {POOL_EVENT, {"s:-", "s:react", "s:-", "s:continue", "s:pre_warm 5", "s:"}},
    {POOL_EVENT, {"s:-", "s:react", "s:-", "s:continue", "s:expire 1 2 3", "s:"}},
    {POOL_EVENT, {"s:-", "s:-", "s:h1", "s:host_down", "s:stopping", "s:"}},
    {POOL_EVENT, {"s:-", "s:-", "s:-", "s:lease_expired", "s:", "s:"}},
};

static char creating[200], leased[200];

static void pack_field(struct wp_buf *out, const char *field) {
    const char *value = field[1] ? field + 2 : "";
    if (strcmp(value, "CREATING") == 0) value = creating;
    if (strcmp(value, "LEASED") == 0) value = leased;
    if (field[0] == 's')
        wp_pack_str(out, wp_str(value));
    else if (field[0] == 'i')
        wp_pack_int(out, atoi(value));
    else
        wp_pack_bool(out, field[0] == 'b');
}

/* field `bad` is wrong in that way, or with which = WRONG the event ends before it. */
static struct test_events event_of(const struct shape *shape, uint32_t count, uint32_t bad, int which) {
    struct test_events events = {.count = 1};
    bool cut = which == WRONG;
    wp_pack_array(&events.packed, 1 + (cut ? bad : count));
    wp_pack_int(&events.packed, pool_next(&slot, shape->topic));
    for (uint32_t i = 0; i < (cut ? bad : count); i++) {
        if (i == bad)
            pack_wrong(&events.packed, which);
        else
            pack_field(&events.packed, shape->fields[i]);
    }
    return events;
}

/* Whether the function refuses it; what it then has changed fails the test. */
static bool refuses(const struct shape *shape, struct test_events *events, uint32_t bad, int which) {
    const char *function = pool_function(shape->topic);
    char *before = digest();
    char *settings = json_dumps(slot.settings, 0);
    char *error = calls_topic_error(&slot.redis, function, pool_partition(shape->topic),
                                    slot.last[shape->topic], 0, settings, events);
    char *after = digest();
    bool refused = error != NULL;
    if (!refused) slot.last[shape->topic]++;
    cr_expect(!error || strcmp(before, after) == 0,
              "%s, field %u wrong in way %d: it has written, and then %s", function, bad, which, error);
    free(before);
    free(after);
    free(settings);
    free(error);
    return refused;
}

/* Something of each kind, for the events to be about. */
static void set_up(void) {
    test_redis_flush(&slot.redis);
    for (int i = 0; i < POOL_TOPICS; i++) slot.last[i] = -1;
    pool_host(&slot, "h1", 50, 0);
    pool_warm(&slot, "react", 3);
    pool_acquire(&slot, .id = "leased", .agent = "a");
    snprintf(leased, sizeof leased, "%s", pool_answer_str(&slot, "leased", "container_id"));
    pool_control(&slot, "react", "pre_warm", 3);
    snprintf(creating, sizeof creating, "%s", pool_commanded(&slot, "create", 0));
    pool_acquire(&slot, .id = "waiting", .memory = 8000);
    for (int i = 0; i < POOL_TOPICS; i++) { /* each has begun */
        struct test_events none = {0};
        pool_send(&slot, (enum pool_topic)i, &none);
    }
}

Test(pool_arguments, a_call_that_fails_has_changed_nothing) {
    int refused = 0, taken = 0;
    slot.unchecked = true;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        uint32_t count = 0;
        while (shapes[s].fields[count]) count++;
        for (uint32_t bad = 0; bad < count; bad++) {
            set_up();
            for (int which = 0; which <= WRONG; which++) {
                struct test_events events = event_of(&shapes[s], count, bad, which);
                if (refuses(&shapes[s], &events, bad, which))
                    refused++;
                else
                    taken++;
            }
        }
    }
    cr_log_info("%d refused, %d taken", refused, taken);
    cr_assert_gt(refused, 50);
}

/* A heartbeat whose map lacks a field, or has a wrong one. */
static void beat(const char *map) {
    struct wp_buf packed = {0};
    char *before = digest();
    calls_pack_json(&packed, map);
    struct wp_str args[] = {wp_str("h2"), wp_buf_str(&packed)};
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "beat", args, 2);
    char *after = digest();
    cr_expect(reply->type != REDIS_REPLY_ERROR || strcmp(before, after) == 0, "%s: %s, and it has written",
              map, reply->str);
    freeReplyObject(reply);
    wp_buf_done(&packed);
    free(before);
    free(after);
}

Test(pool_arguments, nor_has_a_heartbeat) {
    set_up();
    beat("{'capacity': 5, 'memory_mb': 0, 'runtime': 'x', 'state': 'up'}");
    beat("{'capacity': 5, 'memory_mb': 0, 'runtime': 'x', 'state': 'up', 'ttl_ms': 'x'}");
    beat("{'memory_mb': 0, 'runtime': 'x', 'state': 'up', 'ttl_ms': 1000}");
    beat("{'capacity': 'x', 'memory_mb': 'y', 'runtime': 1, 'state': 2, 'ttl_ms': 1000}");
    beat("{'capacity': 5, 'memory_mb': 0, 'runtime': 'x', 'state': 'up', 'ttl_ms': 1000, 'images': 7}");
    beat("[]");
}
