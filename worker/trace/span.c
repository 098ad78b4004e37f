/* Spans and their bytes: see span.h. */
#include "trace/span.h"

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* ---- writing ---- */

static void add_varint(struct wp_buf *out, uint64_t value) {
    char bytes[10];
    size_t len = 0;
    for (; value > 127; value >>= 7) bytes[len++] = (char)(value | 128);
    bytes[len++] = (char)value;
    wp_buf_add(out, bytes, len);
}

static void add_tag(struct wp_buf *out, unsigned field, enum wire_type type) {
    add_varint(out, field << 3 | type);
}

static void add_bytes(struct wp_buf *out, unsigned field, const void *bytes, size_t len) {
    add_tag(out, field, LENGTH);
    add_varint(out, len);
    wp_buf_add(out, bytes, len);
}

static void add_text(struct wp_buf *out, unsigned field, struct wp_str text) {
    add_bytes(out, field, text.ptr, text.len);
    if (wp_str_is_utf8(text)) return;
    for (char *at = out->data + out->len - text.len; at < out->data + out->len; at++)
        if (*at & 128) *at = '?';
}

static void add_message(struct wp_buf *out, unsigned field, struct wp_buf *message) {
    add_bytes(out, field, message->data, message->len);
    wp_buf_reset(message);
}

/* KeyValue: key 1, value 2; AnyValue: string 1 */
static void add_attribute_text(struct wp_buf *out, unsigned field, const char *key, const char *text) {
    struct wp_buf value = {0}, pair = {0};
    add_text(&value, 1, wp_str(text));
    add_text(&pair, 1, wp_str(key));
    add_message(&pair, 2, &value);
    add_message(out, field, &pair);
    wp_buf_done(&value);
    wp_buf_done(&pair);
}

/* ---- a span: its size is computed first, so that it is written in one go ---- */

static size_t varint_size(uint64_t value) {
    size_t size = 1;
    for (; value > 127; value >>= 7) size++;
    return size;
}

/* Of a field below 16 with a length. */
static size_t bytes_size(size_t len) {
    return 1 + varint_size(len) + len;
}

static char *put_varint(char *at, uint64_t value) {
    for (; value > 127; value >>= 7) *at++ = (char)(value | 128);
    *at++ = (char)value;
    return at;
}

/* Begins a field below 16 with a length. */
static char *put_length(char *at, unsigned field, size_t len) {
    *at++ = (char)(field << 3 | LENGTH);
    return put_varint(at, len);
}

static char *put_bytes(char *at, unsigned field, const void *bytes, size_t len) {
    at = put_length(at, field, len);
    memcpy(at, bytes, len);
    return at + len;
}

static char *put_text(char *at, unsigned field, struct wp_str text) {
    char *end = put_bytes(at, field, text.ptr, text.len);
    unsigned any = 0;
    for (size_t i = 0; i < text.len; i++) any |= (unsigned char)text.ptr[i];
    if (!(any & 128) || wp_str_is_utf8(text)) return end;
    for (at = end - text.len; at < end; at++)
        if (*at & 128) *at = '?';
    return end;
}

static char *put_number(char *at, unsigned field, uint64_t value) {
    *at++ = (char)(field << 3 | VARINT);
    return put_varint(at, value);
}

static char *put_fixed64(char *at, unsigned field, uint64_t value) {
    *at++ = (char)(field << 3 | FIXED64);
    for (int i = 0; i < 8; i++) *at++ = (char)(value >> 8 * i);
    return at;
}

/* KeyValue: key 1, value 2; AnyValue: string 1, int 3 */
static size_t value_size(const struct wp_span_attribute *of) {
    return of->text.ptr ? bytes_size(of->text.len) : 1 + varint_size((uint64_t)of->number);
}

static size_t pair_size(const struct wp_span_attribute *of) {
    return bytes_size(strlen(of->key)) + bytes_size(value_size(of));
}

static char *put_attribute(char *at, unsigned field, const struct wp_span_attribute *of) {
    at = put_length(at, field, pair_size(of));
    at = put_bytes(at, 1, of->key, strlen(of->key));
    at = put_length(at, 2, value_size(of));
    return of->text.ptr ? put_text(at, 1, of->text) : put_number(at, 3, (uint64_t)of->number);
}

/* Status: message 2, code 3 (2: error). Not failed: unset, because the specification leaves OK to
 * applications. */
static size_t status_size(const struct wp_span *span) {
    return (span->why.len > 0 ? bytes_size(span->why.len) : 0) + 2;
}

static char *put_status(char *at, const struct wp_span *span) {
    at = put_length(at, 15, status_size(span));
    if (span->why.len > 0) at = put_text(at, 2, span->why);
    return put_number(at, 3, 2);
}

void wp_span_text(struct wp_span *span, const char *key, struct wp_str value) {
    wp_assert(span->count < WP_SPAN_ATTRIBUTES);
    if (value.len > 0) span->attributes[span->count++] = (struct wp_span_attribute){key, value, 0};
}

void wp_span_number(struct wp_span *span, const char *key, int64_t value) {
    wp_assert(span->count < WP_SPAN_ATTRIBUTES);
    span->attributes[span->count++] = (struct wp_span_attribute){.key = key, .number = value};
}

static bool has_parent(const struct wp_span *span) {
    static const unsigned char none[WP_SPAN_ID_BYTES];
    return memcmp(span->parent, none, sizeof none) != 0;
}

static size_t span_size(const struct wp_span *span) {
    size_t size = bytes_size(WP_TRACE_ID_BYTES) + bytes_size(WP_SPAN_ID_BYTES) +
                  bytes_size(strlen(span->name)) + 2 + (size_t)2 * 9;
    if (span->state.len > 0) size += bytes_size(span->state.len);
    if (has_parent(span)) size += bytes_size(WP_SPAN_ID_BYTES);
    for (size_t i = 0; i < span->count; i++) size += bytes_size(pair_size(&span->attributes[i]));
    return size + (span->failed ? bytes_size(status_size(span)) : 0);
}

/* Span: trace_id 1, span_id 2, trace_state 3, parent_span_id 4, name 5, kind 6, start_time_unix_nano 7,
 * end_time_unix_nano 8, attributes 9, status 15; in ScopeSpans it is field 2 */
void wp_span_encode(const struct wp_span *span, struct wp_buf *out) {
    int64_t end_us = span->end_us > span->start_us ? span->end_us : span->start_us;
    size_t size = span_size(span);
    char *begin = wp_buf_reserve(out, bytes_size(size)), *at = put_length(begin, 2, size);
    at = put_bytes(at, 1, span->trace, WP_TRACE_ID_BYTES);
    at = put_bytes(at, 2, span->id, WP_SPAN_ID_BYTES);
    if (span->state.len > 0) at = put_text(at, 3, span->state);
    if (has_parent(span)) at = put_bytes(at, 4, span->parent, WP_SPAN_ID_BYTES);
    at = put_text(at, 5, wp_str(span->name));
    at = put_number(at, 6, span->kind);
    at = put_fixed64(at, 7, (uint64_t)span->start_us * 1000);
    at = put_fixed64(at, 8, (uint64_t)end_us * 1000);
    for (size_t i = 0; i < span->count; i++) at = put_attribute(at, 9, &span->attributes[i]);
    if (span->failed) at = put_status(at, span);
    wp_assert((size_t)(at - begin) == bytes_size(size));
    out->len += (size_t)(at - begin);
}

/* Resource: attributes 1 */
static void add_resource(struct wp_buf *out, const struct wp_span_resource *of) {
    struct wp_buf resource = {0};
    add_attribute_text(&resource, 1, "service.name", "warmpool");
    add_attribute_text(&resource, 1, "service.instance.id", of->instance);
    add_attribute_text(&resource, 1, "service.version", of->version);
    add_attribute_text(&resource, 1, "host.name", of->host);
    add_message(out, 1, &resource);
    wp_buf_done(&resource);
}

/* ExportTraceServiceRequest: resource_spans 1; ResourceSpans: resource 1, scope_spans 2; ScopeSpans: scope 1,
 * spans 2; InstrumentationScope: name 1, version 2 */
void wp_spans_request(const struct wp_span_resource *of, struct wp_str spans, struct wp_buf *out) {
    struct wp_buf scope = {0}, scope_spans = {0}, resource_spans = {0};
    add_text(&scope, 1, WP_STR("warmpool"));
    add_text(&scope, 2, wp_str(of->version));
    add_message(&scope_spans, 1, &scope);
    wp_buf_add(&scope_spans, spans.ptr, spans.len);
    add_resource(&resource_spans, of);
    add_message(&resource_spans, 2, &scope_spans);
    add_message(out, 1, &resource_spans);
    wp_buf_done(&scope);
    wp_buf_done(&scope_spans);
    wp_buf_done(&resource_spans);
}

/* ---- reading ---- */

struct field {
    unsigned number;
    uint64_t value;      /* of a varint */
    struct wp_str bytes; /* of what has a length; ptr NULL: it has none */
};

static bool read_varint(struct wp_str *in, uint64_t *ret) {
    *ret = 0;
    for (unsigned shift = 0; shift < 64 && in->len > 0; shift += 7) {
        unsigned char byte = (unsigned char)*in->ptr++;
        in->len--;
        *ret |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

static bool skip(struct wp_str *in, uint64_t len) {
    if (len > in->len) return false;
    in->ptr += len;
    in->len -= len;
    return true;
}

/* False: the message is malformed. */
static bool read_field(struct wp_str *in, struct field *ret) {
    uint64_t tag, len;
    if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return false;
    *ret = (struct field){.number = (unsigned)(tag >> 3)};
    switch (tag & 7) {
    case VARINT:
        return read_varint(in, &ret->value);
    case FIXED64:
        return skip(in, 8);
    case FIXED32:
        return skip(in, 4);
    case LENGTH:
        if (!read_varint(in, &len) || len > in->len) return false;
        ret->bytes = (struct wp_str){in->ptr, len};
        return skip(in, len);
    default:
        return false;
    }
}

/* ExportTracePartialSuccess: rejected_spans 1, error_message 2 */
static bool read_partial(struct wp_str in, struct wp_spans_answer *ret) {
    struct field field;
    while (in.len > 0) {
        if (!read_field(&in, &field)) return false;
        if (field.number == 1 && !field.bytes.ptr) ret->rejected = (int64_t)field.value;
        if (field.number == 2 && field.bytes.ptr) ret->reason = field.bytes;
    }
    return ret->rejected >= 0 && wp_str_is_utf8(ret->reason);
}

/* ExportTraceServiceResponse: partial_success 1 */
bool wp_spans_answer(struct wp_str bytes, struct wp_spans_answer *ret) {
    struct field field;
    *ret = (struct wp_spans_answer){.reason = WP_STR("")};
    while (bytes.len > 0) {
        if (!read_field(&bytes, &field)) return false;
        if (field.number == 1 && (!field.bytes.ptr || !read_partial(field.bytes, ret))) return false;
    }
    return true;
}

/* Status: message 2 */
struct wp_str wp_spans_refusal(struct wp_str bytes) {
    struct wp_str message = WP_STR("");
    struct field field;
    while (bytes.len > 0) {
        if (!read_field(&bytes, &field)) return WP_STR("");
        if (field.number == 2 && field.bytes.ptr) message = field.bytes;
    }
    return wp_str_is_utf8(message) ? message : WP_STR("");
}
