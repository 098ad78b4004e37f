#include "core/base64.h"
#include <stdint.h>
#include <string.h>

static void put(struct wp_buf *out, char c) {
    wp_buf_add(out, &c, 1);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void wp_base64_encode(struct wp_buf *out, struct wp_str bytes) {
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1) group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2) group |= (unsigned char)bytes.ptr[i + 2];
        put(out, alphabet[group >> 18]);
        put(out, alphabet[(group >> 12) & 63]);
        put(out, left > 1 ? alphabet[(group >> 6) & 63] : '=');
        put(out, left > 2 ? alphabet[group & 63] : '=');
    }
}

static int digit_of(char c) {
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool wp_base64_decode(struct wp_buf *out, struct wp_str text) {
    if (text.len % 4 != 0) return false;
    for (size_t i = 0; i < text.len; i += 4) {
        const char *at = text.ptr + i;
        size_t digits = 4;
        if (i + 4 == text.len && at[3] == '=') digits = at[2] == '=' ? 2 : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < digits ? digit_of(at[k]) : 0;
            if (digit < 0) return false;
            group = (group << 6) | (uint32_t)digit;
        }
        const char bytes[] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        wp_buf_add(out, bytes, digits - 1);
    }
    return true;
}
