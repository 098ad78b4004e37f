/* Tokens for SASL OAUTHBEARER, for every client: where kafka.sasl.oauthbearer.method is oidc, they are got by
 * the client credentials grant here, with librdkafka's own properties, since not every build of librdkafka
 * can do that (Debian's cannot). librdkafka asks for one when a client begins and when four fifths of the
 * last one's life are over, on a thread of the client's own, whether or not the client is in use. */
#ifndef WP_KAFKA_OAUTH_H
#define WP_KAFKA_OAUTH_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include "core/config.h"

/* True: this property is used here, and librdkafka is not given it. False for all of them where method is not
 * oidc, or a grant is asked for that only librdkafka may know. */
bool wp_oauth_takes(const struct wp_settings *kafka, const char *key);
/* Has a client of this configuration ask here. Nothing where wp_oauth_takes none. */
enum wp_err wp_oauth_set(rd_kafka_conf_t *conf, const struct wp_settings *kafka,
                         struct wp_error *error) WP_MUST_CHECK;
/* Right after the client was made. */
enum wp_err wp_oauth_start(rd_kafka_t *rk, const struct wp_settings *kafka,
                           struct wp_error *error) WP_MUST_CHECK;
/* Why the latest request for a token of this process failed, one sentence; empty: it did not. Any thread. */
void wp_oauth_failure(char *ret_text, size_t size);

#endif
