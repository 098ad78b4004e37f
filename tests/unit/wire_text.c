/* Pieces of JSON text: numbers above all. */
#include <criterion/criterion.h>
#include <float.h>
#include <stdlib.h>
#include "wire/text.h"

static void expect_same(const char *json) {
    struct wp_buf out = {0};
    json_t *value = json_loads(json, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    cr_assert(value, "%s", json);
    text_json(&out, value);
    cr_expect(wp_str_is(wp_buf_str(&out), json), "%s became %.*s", json, (int)out.len, out.data);
    json_decref(value);
    wp_buf_done(&out);
}

Test(wire_text, numbers_are_as_short_as_they_were) {
    static const char *const same[] = {
        "0.008",  "0.1",   "-2.5", "1.0",  "0.3333333333333333",    "1e-07",
        "1e+300", "55.35", "0.0",  "-0.0", "4.94065645841247e-324", "0.30000000000000004"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) expect_same(same[i]);
}

Test(wire_text, every_number_reads_back_the_same) {
    union {
        uint64_t bits;
        double value;
    } number = {.bits = 88172645463325252u};
    for (int i = 0; i < 20000; i++) {
        number.bits ^= number.bits << 13;
        number.bits ^= number.bits >> 7;
        number.bits ^= number.bits << 17;
        if (!(number.value >= -DBL_MAX && number.value <= DBL_MAX)) continue;
        struct wp_buf out = {0};
        text_double(&out, number.value);
        wp_buf_add(&out, "", 1);
        cr_assert(strtod(out.data, NULL) == number.value, "%s is not %a", out.data, number.value);
        wp_buf_done(&out);
    }
}

Test(wire_text, json_of_every_kind_stays_what_it_is) {
    expect_same("{\"a\":[1,-9223372036854775808,true,false,null,{}],\"\":[],\"n\":{\"q\":"
                "\"\\\"\\\\\\u0000h\xc3\xa9\"}}");
    expect_same("[]");
    expect_same("\"\"");
    expect_same("null");
}
