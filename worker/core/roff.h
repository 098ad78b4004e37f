/* Writes man pages: text of the tables, which is Markdown, as input of man(7). */
#ifndef WP_CORE_ROFF_H
#define WP_CORE_ROFF_H
#include <stdio.h>

/* The page's first lines and its section NAME: wp_roff_begin(out, "warmpool-send", "1", "publish JSON
 * lines"). */
void wp_roff_begin(FILE *out, const char *name, const char *section, const char *summary);
void wp_roff_section(FILE *out, const char *title); /* in capitals, as man pages have it */
/* Text with `code` and *emphasis*, of one paragraph, in lines of at most 80 bytes. */
void wp_roff_text(FILE *out, const char *markdown);
/* Lines as they are, between two lines of their own. */
void wp_roff_lines(FILE *out, const char *lines, size_t length);
/* Headings of Markdown, comments, paragraphs, lists and blocks of code; a heading of the first level
 * is left out, because the page has its name. */
void wp_roff_markdown(FILE *out, const char *markdown);
/* "pool.size" with what man(7) would take for itself escaped: backslash and hyphen. */
void wp_roff_word(FILE *out, const char *word, size_t length);

#endif
