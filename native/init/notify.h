#pragma once
#include <stdbool.h>
#include <stddef.h>

/* What payloads said since the last call. */
struct notify_news {
    bool ready;
    bool status;
    bool watchdog;
    char text[257];
};

/* Makes NOTIFY_PATH, writable for all in the sandbox. Returns a descriptor or -errno. */
int notify_open(void);

/* Reads at most a few messages, so that a flood leaves time for the rest. */
void notify_read(int fd, struct notify_news *news);

/* READY=1 to the NOTIFY_SOCKET of systemd-nspawn. Returns 0, also without any such socket, or -errno. */
int notify_tell_ready(const char *socket_path);
