/* Tells systemd how the service is, by datagrams to the socket in NOTIFY_SOCKET: the protocol of sd_notify(3)
 * and of a service with Type=notify. Without that variable, as outside of systemd, nothing is done. */
#ifndef WP_CORE_SD_NOTIFY_H
#define WP_CORE_SD_NOTIFY_H
#include <stdint.h>
#include "core/err.h"

/* Lines as "READY=1\nSTATUS=...". Never blocks; what cannot be sent is lost. */
void wp_sd_notify(const char *format, ...) WP_PRINTF(1, 2);
/* The time within which systemd wants WATCHDOG=1 again and again (WATCHDOG_USEC); 0: it does not watch this
 * process. */
int64_t wp_sd_watchdog_us(void);

#endif
