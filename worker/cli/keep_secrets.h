/* Keeps what passes through a worker, above all claims, from others on its machine. */
#ifndef WP_CLI_KEEP_SECRETS_H
#define WP_CLI_KEEP_SECRETS_H

/* To be called while there is one thread. Keeps other processes of this user from reading this one's memory,
 * and the kernel from writing it to a core file; has the libraries through which claims go, hiredis and
 * jansson, wipe what they free (core/secret.h). */
void wp_keep_secrets(void);

#endif
