/* Reads a trace file into memory. */
#include "cli/trace.h"
#include "core/arena.h"
#include "core/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <uthash.h>

#define HEADER "at_ms,philosophy,hold_ms,cpu_percent,memory_mb"
#define COLUMNS 5

struct name { /* philosophy -> index */
    UT_hash_handle hh;
    size_t index;
    char *text; /* borrowed from the trace */
};

struct loader {
    struct wp_trace *trace;
    struct name *names;
    struct wp_arena arena; /* of the names */
    const char *path;
    long line;
};

static enum wp_err bad(const struct loader *loader, struct wp_error *error, const char *what) {
    return wp_fail(error, WP_ERR_DATA, "%s:%ld: %s; a trace is CSV with the columns %s", loader->path,
                   loader->line, what, HEADER);
}

static size_t intern(struct loader *loader, struct wp_str text) {
    struct name *found;
    HASH_FIND(hh, loader->names, text.ptr, text.len, found);
    if (found) return found->index;
    struct wp_trace *trace = loader->trace;
    if (trace->names_count == trace->names_cap) {
        trace->names_cap = trace->names_cap ? trace->names_cap * 2 : 64;
        trace->names = wp_realloc(trace->names, trace->names_cap * sizeof(*trace->names));
    }
    found = wp_arena_alloc(&loader->arena, sizeof(*found));
    *found = (struct name){.index = trace->names_count};
    found->text = trace->names[trace->names_count++] = wp_strndup(text);
    HASH_ADD_KEYPTR(hh, loader->names, found->text, text.len, found);
    return found->index;
}

static bool number(const char *text, double max, double *ret) {
    char *end;
    errno = 0;
    *ret = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && *ret >= 0 && *ret <= max;
}

/* Cuts the line at its commas, in place. Returns how many columns it has. */
static size_t split(char *line, char *columns[COLUMNS]) {
    size_t count = 0;
    for (char *at = line; at; count++) {
        char *comma = strchr(at, ',');
        if (count < COLUMNS) columns[count] = at;
        if (comma) *comma++ = '\0';
        at = comma;
    }
    return count;
}

static enum wp_err add_run(struct loader *loader, char *line, struct wp_error *error) {
    char *columns[COLUMNS];
    double at, hold, cpu, memory;
    if (split(line, columns) != COLUMNS) return bad(loader, error, "this line has not five columns");
    if (!wp_str_is_name(wp_str(columns[1])))
        return bad(loader, error, "the philosophy is not a name ([A-Za-z0-9_.-], 1 to 64)");
    if (!number(columns[0], 1e15, &at) || !number(columns[2], 1e15, &hold) ||
        !number(columns[3], 1e6, &cpu) || !number(columns[4], 1e9, &memory))
        return bad(loader, error, "a figure is not a number of at least 0");
    struct wp_trace *trace = loader->trace;
    if (trace->count && trace->runs[trace->count - 1].at_ms > (int64_t)at)
        return bad(loader, error,
                   "at_ms is smaller than in the line before; sort the trace by its first column");
    if (trace->count == trace->runs_cap) {
        trace->runs_cap = trace->runs_cap ? trace->runs_cap * 2 : 1024;
        trace->runs = wp_realloc(trace->runs, trace->runs_cap * sizeof(*trace->runs));
    }
    trace->runs[trace->count++] = (struct wp_trace_run){
        .at_ms = (int64_t)at,
        .hold_ms = (int64_t)hold,
        .cpu_percent = cpu,
        .memory_mb = memory,
        .philosophy = intern(loader, wp_str(columns[1])),
    };
    return WP_OK;
}

static enum wp_err load_lines(struct loader *loader, FILE *file, struct wp_error *error) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    enum wp_err err = WP_OK;
    while (!err && (len = getline(&line, &cap, file)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) line[--len] = '\0';
        loader->line++;
        if (loader->line > 1)
            err = add_run(loader, line, error);
        else if (strcmp(line, HEADER) != 0)
            err = bad(loader, error, "the header is another one");
    }
    int why = errno;
    free(line);
    if (!err && ferror(file))
        err = wp_fail(error, WP_ERR_SYSTEM, "the trace %s cannot be read: %s", loader->path, strerror(why));
    if (!err && loader->trace->count == 0) err = bad(loader, error, "there is no run in it");
    return err;
}

enum wp_err wp_trace_load(struct wp_trace *ret_trace, const char *path, struct wp_error *error) {
    *ret_trace = (struct wp_trace){0};
    FILE *file = fopen(path, "re");
    if (!file) return wp_fail(error, WP_ERR_SYSTEM, "the trace %s cannot be read: %s", path, strerror(errno));
    struct loader loader = {.trace = ret_trace, .path = path};
    enum wp_err err = load_lines(&loader, file, error);
    fclose(file);
    HASH_CLEAR(hh, loader.names);
    wp_arena_done(&loader.arena);
    if (err) wp_trace_done(ret_trace);
    return err;
}

void wp_trace_done(struct wp_trace *trace) {
    for (size_t i = 0; i < trace->names_count; i++) free(trace->names[i]);
    free(trace->names);
    free(trace->runs);
    *trace = (struct wp_trace){0};
}
