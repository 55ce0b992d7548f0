#pragma once

/* The anchor's words to systemd, in the protocol of sd_notify(3). */

/* Takes NOTIFY_SOCKET and INVOCATION_ID from the environment. Ends the program when one is missing. */
void systemd_open(void);

/* 32 hex digits. */
const char *systemd_invocation(void);

void systemd_ready(void);
void systemd_reloading(void);
/* One line of printable text. */
void systemd_status(const char *text);
