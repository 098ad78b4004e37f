/* The keys of `warmpool top`, as the terminal gives them to the screen. */
#ifndef WP_TOP_KEYS_H
#define WP_TOP_KEYS_H

/* Keys: characters as they are, and these. */
enum top_key {
    TOP_KEY_ENTER = '\n',
    TOP_KEY_ESCAPE = 27,
    TOP_KEY_BACK = 127,    /* backspace */
    TOP_KEY_UP = 0x110000, /* beyond all characters */
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_TAB = '\t',
};

#endif
