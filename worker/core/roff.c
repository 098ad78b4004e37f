/* Input of man(7). A line must not begin with a dot or an apostrophe, a hyphen that is to be copied is \-,
 * and no line of input is longer than 80 bytes (man-pages(7)). */
#include "core/roff.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { LINE_MAX_BYTES = 78 };

struct writer {
    FILE *out;
    size_t column;
    bool code;     /* between two backticks */
    bool emphasis; /* between two asterisks */
};

static size_t escaped_length(const char *text, size_t length) {
    size_t escaped = length;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\') escaped++;
        if (text[i] == '-') escaped++;
        if (strchr("`*'~^", text[i])) escaped += 3;
    }
    return escaped;
}

static void put(struct writer *w, char c) {
    switch (c) {
    case '`':
        w->code = !w->code;
        fputs(w->code ? "\\fB" : "\\fR", w->out);
        break;
    case '*':
        if (w->code) {
            putc(c, w->out);
        } else {
            w->emphasis = !w->emphasis;
            fputs(w->emphasis ? "\\fI" : "\\fR", w->out);
        }
        break;
    case '\\':
        fputs("\\e", w->out);
        break;
    case '-':
        fputs("\\-", w->out);
        break;
    case '\'':
        fputs("\\(aq", w->out);
        break;
    case '~':
        fputs("\\(ti", w->out);
        break;
    case '^':
        fputs("\\(ha", w->out);
        break;
    default:
        putc(c, w->out);
    }
}

static void put_word(struct writer *w, const char *word, size_t length) {
    size_t wanted = escaped_length(word, length);
    if (w->column && w->column + 1 + wanted > LINE_MAX_BYTES) {
        putc('\n', w->out);
        w->column = 0;
    }
    if (w->column) {
        putc(' ', w->out);
        w->column++;
    } else if (*word == '.') {
        fputs("\\&", w->out);
    }
    for (size_t i = 0; i < length; i++) put(w, word[i]);
    w->column += wanted;
}

static void put_words(struct writer *w, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && !isspace((unsigned char)text[end])) end++;
        if (end > at) put_word(w, text + at, end - at);
        at = end + 1;
    }
}

static void end_line(struct writer *w) {
    if (w->column) putc('\n', w->out);
    w->column = 0;
}

void wp_roff_word(FILE *out, const char *word, size_t length) {
    struct writer w = {.out = out, .code = true}; /* an asterisk is one */
    for (size_t i = 0; i < length; i++) put(&w, word[i]);
}

void wp_roff_text(FILE *out, const char *markdown) {
    struct writer w = {.out = out};
    put_words(&w, markdown, strlen(markdown));
    end_line(&w);
}

void wp_roff_lines(FILE *out, const char *lines, size_t length) {
    fputs(".in +4n\n.nf\n", out);
    for (size_t i = 0; i < length; i++) {
        bool first = i == 0 || lines[i - 1] == '\n';
        if (first && lines[i] == '.') fputs("\\&", out);
        wp_roff_word(out, lines + i, 1);
    }
    if (length && lines[length - 1] != '\n') putc('\n', out);
    fputs(".fi\n.in\n", out);
}

static void put_capitals(FILE *out, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) putc(toupper((unsigned char)text[i]), out);
}

void wp_roff_begin(FILE *out, const char *name, const char *section, const char *summary) {
    fputs(".TH ", out);
    put_capitals(out, name, strlen(name));
    fprintf(out, " %s \"\" \"warmpool " WP_VERSION "\"\n.nh\n.ad l\n.SH NAME\n", section);
    wp_roff_word(out, name, strlen(name));
    fputs(" \\- ", out);
    wp_roff_text(out, summary);
}

void wp_roff_section(FILE *out, const char *title) {
    fprintf(out, ".SH \"%s\"\n", title);
}

/* ---- Markdown ---- */

static size_t line_length(const char *at) {
    return strcspn(at, "\n");
}

static const char *next_line(const char *at) {
    at += line_length(at);
    return *at ? at + 1 : at;
}

static const char *skip_past(const char *at, const char *end) {
    const char *found = strstr(at, end);
    return found ? next_line(found) : at + strlen(at);
}

static const char *put_code(FILE *out, const char *fence) {
    const char *begin = next_line(fence), *end = strstr(begin, "```");
    if (!end) end = begin + strlen(begin);
    fputs(".PP\n", out);
    wp_roff_lines(out, begin, (size_t)(end - begin));
    return next_line(end);
}

static const char *put_heading(FILE *out, const char *line) {
    if (strncmp(line, "## ", 3) == 0) {
        fputs(".SH \"", out);
        put_capitals(out, line + 3, line_length(line + 3));
        fputs("\"\n", out);
    }
    return next_line(line);
}

static bool begins_number(const char *line) {
    return isdigit((unsigned char)line[0]) && line[1] == '.' && line[2] == ' ';
}

static bool begins_item(const char *line) {
    return begins_number(line) || strncmp(line, "- ", 2) == 0;
}

/* Lines up to an empty one or the next item. */
static const char *put_paragraph(FILE *out, const char *line, bool first) {
    struct writer w = {.out = out};
    if (begins_number(line)) {
        fprintf(out, ".IP %.2s 4\n", line);
        line += 3;
    } else if (begins_item(line)) {
        fputs(".IP \\(bu 4\n", out);
        line += 2;
    } else if (!first) {
        fputs(".PP\n", out); /* not after the heading of a section */
    }
    do {
        put_words(&w, line, line_length(line));
        line = next_line(line);
    } while (*line && *line != '\n' && !begins_item(line));
    end_line(&w);
    return line;
}

void wp_roff_markdown(FILE *out, const char *markdown) {
    bool first = true;
    for (const char *at = markdown; *at;) {
        if (*at == '\n') {
            at++;
        } else if (*at == '#') {
            at = put_heading(out, at);
            first = true;
        } else if (strncmp(at, "<!--", 4) == 0) {
            at = skip_past(at, "-->");
        } else if (strncmp(at, "```", 3) == 0) {
            at = put_code(out, at);
        } else {
            at = put_paragraph(out, at, first);
            first = false;
        }
    }
}
