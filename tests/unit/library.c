/* The function libraries: their text and their revisions. */
#include "store/library.h"
#include <criterion/criterion.h>
#include "cache/cache_calls.h"
#include "core/pack.h"
#include "pool/pool_calls.h"

Test(library, each_slot_has_a_private_and_a_public_one) {
    for (enum wp_slot slot = WP_SLOT_POOL; slot < WP_SLOTS; slot++) {
        cr_assert_not_null(wp_library_of_slot(slot, 0));
        cr_assert_not_null(wp_library_of_slot(slot, 1));
        cr_assert_not_null(wp_library_of_slot(slot, 2), "the one that old workers find");
        cr_assert_null(wp_library_of_slot(slot, 3));
        cr_assert_eq(wp_library_of_slot(slot, 1)->slot, slot);
    }
    cr_assert_str_eq(wp_library_of_slot(WP_SLOT_CACHE, 0)->name, "wp_cache_v2");
    cr_assert_str_eq(wp_library_of_slot(WP_SLOT_CACHE, 1)->name, "wp_cache");
}

Test(library, its_text_begins_with_its_name_and_revision) {
    struct wp_buf text = {0};
    wp_library_text(wp_library_of_slot(WP_SLOT_CACHE, 0), &text);
    wp_buf_add(&text, "", 1);
    cr_assert(strncmp(text.data, "#!lua name=wp_cache_v2\n-- revision ", 35) == 0);
    cr_assert_geq(wp_library_revision_of(text.data), 1);
    const char *first = strstr(text.data, "local delivery = {}"),
               *second = strstr(text.data, "local cache = {}"),
               *last = strstr(text.data, "frame.register('cache_replay'");
    cr_assert(first && second && last && first < second && second < last);
    wp_buf_done(&text);
}

Test(library, a_revision_is_a_line_of_its_own) {
    cr_assert_eq(wp_library_revision_of("#!lua name=x\n-- revision 12\nlocal a"), 12);
    cr_assert_eq(wp_library_revision_of("-- revision 3"), 3);
    cr_assert_eq(wp_library_revision_of("local a -- revision 4\n"), 0);
    cr_assert_eq(wp_library_revision_of("\n\n-- revision 7\n-- revision 8\n"), 7);
    cr_assert_eq(wp_library_revision_of(""), 0);
    cr_assert_eq(wp_library_revision_of("-- revision x\n"), 0);
}

static void expect_read(const char *text, struct wp_str key) {
    struct wp_buf used = {0};
    wp_buf_printf(&used, "settings.%.*s", (int)key.len, key.ptr);
    wp_buf_add(&used, "", 1);
    cr_expect(strstr(text, used.data), "no function reads %s", used.data);
    wp_buf_done(&used);
}

Test(library, every_setting_that_a_call_carries_is_read) {
    static void (*const packs[])(struct wp_buf *, const struct wp_config *) = {
        [WP_SLOT_POOL] = wp_pack_pool_settings, [WP_SLOT_CACHE] = wp_pack_cache_settings};
    struct wp_config config;
    wp_config_init(&config);
    for (enum wp_slot slot = WP_SLOT_POOL; slot < WP_SLOTS; slot++) {
        struct wp_buf text = {0}, packed = {0};
        wp_library_text(wp_library_of_slot(slot, 0), &text);
        wp_buf_add(&text, "", 1);
        packs[slot](&packed, &config);
        struct wp_unpack in = wp_unpack(wp_buf_str(&packed));
        for (uint32_t left = wp_unpack_map(&in); left > 0; left--) {
            expect_read(text.data, wp_unpack_str(&in));
            wp_unpack_skip(&in);
        }
        cr_expect(wp_unpack_at_end(&in), "as many as it says");
        wp_buf_done(&text);
        wp_buf_done(&packed);
    }
    wp_config_done(&config);
}
