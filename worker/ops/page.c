/* Owns the history, the streams and the timer that publishes figures while there are streams. All that open
 * pages see is composed and read from Redis once, however many they are. The loop's thread. */
#include "ops/page.h"
#include "core/embedded.h"
#include "ops/history.h"
#include "ops/page_figures.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STEP_MS = 2000,
    ANSWER_MS = 250,   /* after the shared figures were asked for */
    RECENT_SAMPLES = 6 /* sent with all figures: a page that missed some events has no hole in its charts */
};

struct page {
    const struct ops_snapshot *snapshot;
    struct shared_reader *reader;
    struct history *history;
    struct streams *streams;
    uv_timer_t timer; /* runs while there are streams */
    bool asked;       /* the next turn of the timer publishes */
    struct wp_buf text;
};

/* ---- files ---- */

static const struct file {
    const char *path, *name, *type;
} files[] = {
    {"/", "page.html", "text/html; charset=utf-8"},
    {"/page.css", "page.css", "text/css; charset=utf-8"},
    {"/page.js", "page.js", "text/javascript; charset=utf-8"},
    {"/charts.js", "charts.js", "text/javascript; charset=utf-8"},
    {"/icon.svg", "icon.svg", "image/svg+xml"},
};

/* Nothing but the worker's own files runs or is shown in the page, and no other page can frame it. */
static const char *const headers[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-cache"}, /* another worker may have another version */
};

static enum MHD_Result answer_file(struct MHD_Connection *connection, const struct file *file) {
    const struct wp_embedded *found = wp_embedded_page;
    while (strcmp(found->name, file->name) != 0) found++;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(found->size, (void *)(uintptr_t)found->text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, file->type);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- events ---- */

/* The id is worker start and sample, so that a page that comes again to the same worker is sent only what it
 * has not got. */
static void write_id(const struct page *page, struct wp_buf *out) {
    wp_buf_printf(out, "id: %" PRId64 "-%" PRIu64 "\n", page->snapshot->base->started_wall_ms,
                  history_latest(page->history));
}

static void write_history(const struct page *page, uint64_t after, struct wp_buf *out) {
    wp_buf_add_str(out, "event: history\n");
    write_id(page, out);
    wp_buf_printf(out, "data: {\"after\":%" PRIu64 ",\"columns\":", after);
    history_columns(out);
    wp_buf_add_str(out, ",\"samples\":");
    history_write(page->history, after, out);
    wp_buf_add_str(out, "}\n\n");
}

static void write_figures(const struct page *page, struct wp_buf *out) {
    uint64_t latest = history_latest(page->history);
    wp_buf_add_str(out, "event: figures\n");
    write_id(page, out);
    wp_buf_add_str(out, "data: ");
    page_figures_write(page->snapshot, out);
    wp_buf_add_str(out, "\n\nevent: samples\ndata: ");
    history_write(page->history, latest > RECENT_SAMPLES ? latest - RECENT_SAMPLES : 0, out);
    wp_buf_add_str(out, "\n\n");
}

/* The number of the last sample that the client has of this worker; 0: it has none. */
static uint64_t known_to(const struct page *page, struct MHD_Connection *connection) {
    const char *id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
    int64_t started;
    uint64_t number;
    if (!id || sscanf(id, "%" SCNd64 "-%" SCNu64, &started, &number) != 2) return 0;
    bool is_ours =
        started == page->snapshot->base->started_wall_ms && number <= history_latest(page->history);
    return is_ours ? number : 0;
}

/* Asks for the shared figures, and a moment later publishes what is known then. */
static void on_timer(uv_timer_t *timer) {
    struct page *page = timer->data;
    if (streams_count(page->streams) == 0) return;
    if (page->asked) {
        wp_buf_reset(&page->text);
        write_figures(page, &page->text);
        streams_publish(page->streams, wp_buf_str(&page->text));
    } else {
        shared_read_if_old(page->reader);
    }
    page->asked = !page->asked;
    uv_timer_start(timer, on_timer, page->asked ? ANSWER_MS : STEP_MS - ANSWER_MS, 0);
}

static enum MHD_Result open_stream(struct page *page, struct MHD_Connection *connection) {
    wp_buf_reset(&page->text);
    wp_buf_add_str(&page->text, "retry: 2000\n\n");
    write_history(page, known_to(page, connection), &page->text);
    write_figures(page, &page->text);
    enum MHD_Result result = streams_open(page->streams, connection, wp_buf_str(&page->text));
    if (!uv_is_active((uv_handle_t *)&page->timer)) {
        page->asked = false;
        uv_timer_start(&page->timer, on_timer, 0, 0);
    }
    return result;
}

static enum MHD_Result answer_head(struct MHD_Connection *connection) {
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- */

bool page_answer(struct page *page, struct MHD_Connection *connection, const char *url, bool head,
                 enum MHD_Result *ret_result) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(url, files[i].path) != 0) continue;
        *ret_result = answer_file(connection, &files[i]);
        return true;
    }
    if (strcmp(url, "/figures") != 0) return false;
    *ret_result = head ? answer_head(connection) : open_stream(page, connection);
    return true;
}

struct page *page_new(const struct ops_snapshot *snapshot, struct shared_reader *reader) {
    struct page *page = wp_calloc(1, sizeof *page);
    page->snapshot = snapshot;
    page->reader = reader;
    page->history = history_new(snapshot);
    page->streams = streams_new();
    uv_timer_init(snapshot->base->loop, &page->timer);
    page->timer.data = page;
    return page;
}

void page_end(struct page *page) {
    uv_timer_stop(&page->timer);
    streams_end(page->streams);
}

static void on_closed(uv_handle_t *handle) {
    struct page *page = handle->data;
    wp_buf_done(&page->text);
    free(page);
}

void page_free(struct page *page) {
    if (!page) return;
    history_free(page->history);
    streams_free(page->streams);
    uv_close((uv_handle_t *)&page->timer, on_closed);
}
