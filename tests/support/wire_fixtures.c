/* Reads the wire fixtures and makes codecs for tests. */
#include "support/wire_fixtures.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define FIXTURES SOURCE_DIR "/tests/fixtures/"

struct wp_buf fixture_read(const char *path) {
    struct wp_buf bytes = {0};
    char full[512];
    snprintf(full, sizeof full, FIXTURES "%s", path);
    FILE *in = fopen(full, "re");
    cr_assert(in, "%s cannot be opened", full);
    bytes.len = fread(wp_buf_reserve(&bytes, 65536), 1, 65535, in);
    fclose(in);
    bytes.data[bytes.len] = '\0';
    return bytes;
}

struct wp_buf fixture_datum(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "wire/%s.avro", name);
    struct wp_buf bytes = fixture_read(path);
    bytes.len -= 10;
    memmove(bytes.data, bytes.data + 10, bytes.len);
    return bytes;
}

static void set(struct wp_config *config, const char *key, const char *value) {
    struct wp_error error = {0};
    cr_assert(!value || wp_config_set(config, key, value, &error) == WP_OK, "%s", error.text);
}

static enum wp_err make(struct wp_wire **ret_wire, const char *schemas, const char *write, const char *read,
                        const char *confluent_ids, struct wp_error *error) {
    struct wp_config config;
    wp_config_init(&config);
    set(&config, "wire.schemas", schemas);
    set(&config, "wire.write", write);
    set(&config, "wire.read", read);
    set(&config, "wire.confluent_ids", confluent_ids);
    enum wp_err err = wp_wire_new(ret_wire, &config, error);
    wp_config_done(&config);
    return err;
}

struct wp_wire *fixture_wire(const char *write, const char *read, const char *confluent_ids) {
    struct wp_wire *wire = NULL;
    struct wp_error error = {0};
    cr_assert_eq(make(&wire, FIXTURES "wire-schemas", write, read, confluent_ids, &error), WP_OK, "%s",
                 error.text);
    return wire;
}

char *fixture_wire_error(const char *schemas, const char *write, const char *confluent_ids) {
    struct wp_wire *wire = NULL;
    struct wp_error error = {0};
    cr_assert_eq(make(&wire, schemas, write, NULL, confluent_ids, &error), WP_ERR_CONFIG);
    cr_assert_null(wire);
    return wp_strdup(error.text);
}
