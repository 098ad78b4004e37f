/* The wire fixtures (tests/fixtures/make_wire_fixtures.py), and a codec with the settings that a test wants.
 */
#ifndef TEST_SUPPORT_WIRE_FIXTURES_H
#define TEST_SUPPORT_WIRE_FIXTURES_H
#include "core/buf.h"
#include "wire/wire.h"

/* A file of tests/fixtures, NUL-terminated behind its length; freed with wp_buf_done. */
struct wp_buf fixture_read(const char *path);
/* wire/NAME.avro without its header of 10 bytes. */
struct wp_buf fixture_datum(const char *name);

/* A codec with wire.schemas on the fixtures' folder and, when not NULL, these settings. Fails the test when
 * it cannot be made. */
struct wp_wire *fixture_wire(const char *write, const char *read, const char *confluent_ids);
/* The error of a codec that must not come to be; freed by the caller. */
char *fixture_wire_error(const char *schemas, const char *write, const char *confluent_ids);

#endif
