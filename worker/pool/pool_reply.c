/* Reads the records of the {pool} functions. Each is an array of its own, but the warm starts of a batch are
 * columns: their other fields come from the events (sink->own). */
#include "pool/pool_reply.h"
#include <stdlib.h>

enum kind { ASSIGNMENT = 1, COMMAND, PREDICTION = 4, DEAD, EVENT, WARM_STARTS };

static struct wp_limits read_limits(struct wp_unpack *in) {
    struct wp_limits limits;
    if (wp_unpack_array(in) != 2) in->failed = true;
    limits.cpu_percent = wp_unpack_double(in);
    limits.memory_mb = wp_unpack_double(in);
    return limits;
}

/* An empty string stands for an absent field. */
static struct wp_str read_optional_str(struct wp_unpack *in) {
    struct wp_str text = wp_unpack_str(in);
    return text.len > 0 ? text : (struct wp_str){NULL, 0};
}

static double read_ms(struct wp_unpack *in) {
    return (double)wp_unpack_int(in) / 1000.0;
}

/* In the order of redis/leases.lua startup_parts. */
static bool read_startup(struct wp_unpack *in, struct wp_startup *ret) {
    if (wp_unpack_nil(in)) return false;
    if (wp_unpack_array(in) != 6) in->failed = true;
    ret->queue_ms = read_ms(in);
    ret->create_ms = read_ms(in);
    ret->start_ms = read_ms(in);
    ret->ready_ms = read_ms(in);
    ret->bind_ms = read_ms(in);
    ret->publish_ms = read_ms(in);
    return true;
}

static void set_prediction(struct wp_assignment *ret, const struct wp_prediction *prediction) {
    ret->requirements = prediction->requirements;
    ret->recommended = prediction->recommended;
    ret->confidence = prediction->confidence;
    ret->basis = prediction->basis;
}

static bool take_assignment(struct wp_unpack *in, struct wp_reply_record *record,
                            const struct wp_reply_sink *sink) {
    struct wp_assignment a = {0};
    struct wp_prediction prediction = {0};
    a.agent_id = wp_unpack_str(in);
    a.tenant = wp_unpack_str(in);
    a.philosophy = wp_unpack_str(in);
    a.container_id = read_optional_str(in);
    a.host = read_optional_str(in);
    a.address = read_optional_str(in);
    a.limits = read_limits(in);
    a.image = read_optional_str(in);
    record->key = wp_unpack_str(in);
    record->trace = wp_unpack_str(in);
    a.request_id = wp_unpack_str(in);
    a.status = wp_unpack_str(in);
    a.warm_start = wp_unpack_bool(in);
    a.startup_time_ms = read_ms(in);
    a.wait_ms = read_ms(in);
    a.lease_epoch = wp_unpack_int(in);
    a.lease_expires_at = wp_unpack_int(in);
    wp_reply_prediction(in, &prediction);
    set_prediction(&a, &prediction);
    a.reason = read_optional_str(in);
    a.retry_after_ms = wp_unpack_int(in);
    if (a.retry_after_ms == 0) a.retry_after_ms = WP_ABSENT;
    a.tier = read_optional_str(in);
    a.has_startup = read_startup(in, &a.startup);
    wp_unpack_skip(in); /* whether a claim was bound */
    if (in->failed) return false;
    record->topic = WP_TOPIC_ASSIGNMENT;
    record->id = a.request_id;
    record->fields = &a;
    sink->take(sink->ctx, record);
    return true;
}

static bool take_command(struct wp_unpack *in, struct wp_reply_record *record,
                         const struct wp_reply_sink *sink) {
    struct wp_command command = {0};
    command.command_id = wp_unpack_str(in);
    command.host = wp_unpack_str(in);
    command.op = wp_unpack_str(in);
    command.container_id = wp_unpack_str(in);
    command.philosophy = wp_unpack_str(in);
    command.limits = read_limits(in);
    if (in->failed) return false;
    record->topic = WP_TOPIC_COMMAND;
    record->id = command.host;
    record->by_id = true;
    record->fields = &command;
    sink->take(sink->ctx, record);
    return true;
}

static bool take_prediction(struct wp_unpack *in, struct wp_reply_record *record,
                            const struct wp_reply_sink *sink) {
    struct wp_prediction prediction = {0};
    if (!wp_reply_prediction(in, &prediction)) return false;
    record->topic = WP_TOPIC_PREDICTION;
    record->id = prediction.philosophy;
    record->by_id = true;
    record->fields = &prediction;
    sink->take(sink->ctx, record);
    return true;
}

static bool take_event(struct wp_unpack *in, struct wp_reply_record *record,
                       const struct wp_reply_sink *sink) {
    struct wp_container_event event = {0};
    event.container_id = wp_unpack_str(in);
    event.philosophy = wp_unpack_str(in);
    event.host = wp_unpack_str(in);
    event.state = wp_unpack_str(in);
    event.detail = wp_unpack_str(in);
    if (in->failed) return false;
    record->topic = WP_TOPIC_EVENT;
    record->id = event.container_id;
    record->fields = &event;
    sink->take(sink->ctx, record);
    return true;
}

/* ---- columns of warm starts ---- */

struct common { /* fields that several containers share */
    struct wp_str host, image;
    struct wp_limits limits;
};

struct starts { /* the columns; each reader stands at its next value */
    int64_t expires_ms;
    struct wp_unpack runs, ages, containers, addresses, numbers;
    uint32_t count;
    struct common *commons; /* owned */
    uint32_t common_count;
    struct wp_prediction *predictions; /* owned; by philosophy */
    uint32_t prediction_count;
};

static int by_philosophy(const void *a, const void *b) {
    const struct wp_prediction *x = a, *y = b;
    size_t len = x->philosophy.len < y->philosophy.len ? x->philosophy.len : y->philosophy.len;
    int order = len > 0 ? memcmp(x->philosophy.ptr, y->philosophy.ptr, len) : 0;
    return order ? order : (x->philosophy.len > y->philosophy.len) - (x->philosophy.len < y->philosophy.len);
}

/* The length of an array. Each value takes at least a byte, so a longer length than the bytes left is
 * refused. */
static uint32_t read_length(struct wp_unpack *in) {
    uint32_t count = wp_unpack_array(in);
    if (count > (size_t)(in->end - in->at)) in->failed = true;
    return in->failed ? 0 : count;
}

static void read_commons(struct wp_unpack *in, struct starts *s) {
    s->common_count = read_length(in);
    s->commons = wp_calloc(s->common_count + 1, sizeof s->commons[0]);
    for (uint32_t i = 0; i < s->common_count && !in->failed; i++) {
        struct wp_unpack one = wp_unpack(wp_unpack_str(in)); /* redis/rows.lua */
        struct common *common = &s->commons[i];
        common->host = read_optional_str(&one);
        common->limits.cpu_percent = wp_unpack_double(&one);
        common->limits.memory_mb = wp_unpack_double(&one);
        common->image = read_optional_str(&one);
        if (one.failed) in->failed = true;
    }
}

static void read_predictions(struct wp_unpack *in, struct starts *s) {
    s->prediction_count = read_length(in);
    s->predictions = wp_calloc(s->prediction_count + 1, sizeof s->predictions[0]);
    for (uint32_t i = 0; i < s->prediction_count && !in->failed; i++)
        (void)wp_reply_prediction(in, &s->predictions[i]);
    qsort(s->predictions, s->prediction_count, sizeof s->predictions[0], by_philosophy);
}

/* Returns a reader of the column, and moves `in` behind it. */
static struct wp_unpack read_column(struct wp_unpack *in, uint32_t *ret_count) {
    struct wp_unpack column = *in;
    wp_unpack_skip(in);
    *ret_count = wp_unpack_array(&column);
    return column;
}

static void read_starts(struct wp_unpack *in, struct starts *s) {
    uint32_t counts[4], runs;
    s->expires_ms = wp_unpack_int(in);
    s->runs = read_column(in, &runs);
    s->ages = read_column(in, &counts[0]);
    s->containers = read_column(in, &counts[1]);
    s->addresses = read_column(in, &counts[2]);
    s->numbers = read_column(in, &counts[3]);
    s->count = counts[0];
    for (int i = 1; i < 4; i++)
        if (counts[i] != s->count) in->failed = true;
    if (runs % 3 != 0) in->failed = true;
    read_commons(in, s);
    read_predictions(in, s);
}

/* Fills *ret from the columns' next values. */
static bool read_start(struct starts *s, struct wp_assignment *ret) {
    int64_t age = wp_unpack_int(&s->ages), number;
    ret->container_id = wp_unpack_str(&s->containers);
    ret->address = read_optional_str(&s->addresses);
    number = wp_unpack_int(&s->numbers);
    if (s->ages.failed || s->containers.failed || s->addresses.failed || s->numbers.failed || number < 1 ||
        number > s->common_count)
        return false;
    const struct common *common = &s->commons[number - 1];
    ret->host = common->host;
    ret->limits = common->limits;
    ret->image = common->image;
    ret->startup_time_ms = (double)(age > 0 ? age : 1) / 1000.0;
    ret->lease_expires_at = s->expires_ms;
    ret->status = WP_STR("assigned");
    ret->warm_start = true;
    ret->tier = WP_STR("hot");
    ret->retry_after_ms = WP_ABSENT;
    return true;
}

static bool take_start(const struct starts *s, int64_t offset, struct wp_assignment *a,
                       const struct wp_reply_sink *sink) {
    union wp_event event;
    struct wp_reply_record record = {.offset = offset, .topic = WP_TOPIC_ASSIGNMENT, .fields = a};
    if (!sink->own(sink->ctx, offset, &event, &record.key, &record.trace)) return false;
    struct wp_prediction wanted = {.philosophy = event.acquire.philosophy};
    const struct wp_prediction *prediction =
        bsearch(&wanted, s->predictions, s->prediction_count, sizeof wanted, by_philosophy);
    if (!prediction) return false;
    a->request_id = event.acquire.request_id;
    a->agent_id = event.acquire.agent_id;
    a->philosophy = event.acquire.philosophy;
    a->tenant = event.acquire.tenant.len > 0 ? event.acquire.tenant : WP_STR("default");
    set_prediction(a, prediction);
    record.id = a->request_id;
    sink->take(sink->ctx, &record);
    return true;
}

/* A run of events whose offsets and epochs grow by one: its length, first offset and first epoch. */
static bool take_run(struct starts *s, const struct wp_reply_sink *sink) {
    int64_t count = wp_unpack_int(&s->runs), offset = wp_unpack_int(&s->runs),
            epoch = wp_unpack_int(&s->runs);
    if (s->runs.failed || count < 1 || count > s->count) return false;
    s->count -= (uint32_t)count;
    for (; count > 0; count--, offset++, epoch++) {
        struct wp_assignment a = {.lease_epoch = epoch};
        if (!read_start(s, &a)) return false;
        if (sink->wants(sink->ctx, offset) && !take_start(s, offset, &a, sink)) return false;
    }
    return true;
}

static bool take_starts(struct wp_unpack *in, uint32_t fields, const struct wp_reply_sink *sink) {
    struct starts s = {0};
    if (fields != 8) return false;
    read_starts(in, &s);
    bool ok = !in->failed;
    while (ok && s.count > 0) ok = take_run(&s, sink);
    free(s.commons);
    free(s.predictions);
    return ok;
}

/* ---- records ---- */

static bool read_record(struct wp_unpack *in, int kind, uint32_t fields, int64_t offset,
                        const struct wp_reply_sink *sink, bool wanted) {
    struct wp_reply_record record = {.offset = offset};
    if (kind == WARM_STARTS) return take_starts(in, fields, sink);
    if (!wanted) return wp_reply_skip(in, fields);
    if (kind == ASSIGNMENT) return take_assignment(in, &record, sink);
    if (kind == DEAD) return wp_reply_dead(in, offset, sink);
    record.key = wp_unpack_str(in);
    record.trace = wp_unpack_str(in);
    if (kind == COMMAND) return take_command(in, &record, sink);
    if (kind == PREDICTION) return take_prediction(in, &record, sink);
    return kind == EVENT && take_event(in, &record, sink);
}

bool wp_pool_reply(struct wp_str chunk, const struct wp_reply_sink *sink) {
    return wp_reply_each(chunk, sink, read_record);
}
