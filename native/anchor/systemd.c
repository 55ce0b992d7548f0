#include "anchor/systemd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/connection.h"
#include "base/datagram.h"

static const char *notify_socket, *invocation;

void systemd_open(void) {
    notify_socket = getenv("NOTIFY_SOCKET");
    invocation = getenv("INVOCATION_ID");
    if (notify_socket == NULL || (notify_socket[0] != '/' && notify_socket[0] != '@') || invocation == NULL ||
        strlen(invocation) != 32 || strspn(invocation, "0123456789abcdef") != 32) {
        (void)fputs("plugin-anchor: only systemd can start it: NOTIFY_SOCKET or INVOCATION_ID is not set\n", stderr);
        exit(1);
    }
}

const char *systemd_invocation(void) { return invocation; }

/*
 * Blocks while systemd's queue is full, like sd_notify(3) itself: nothing here is more urgent than being
 * heard, and the signals wait.
 */
static void tell(const char *text) {
    int error = datagram_send(notify_socket, text, strlen(text), NULL, 0, 0);
    if (error < 0) (void)fprintf(stderr, "plugin-anchor: systemd was not told: %s, ignoring\n", strerror(-error));
}

void systemd_ready(void) { tell("READY=1"); }

void systemd_reloading(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    char text[64];
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    tell(text);
}

void systemd_status(const char *text) {
    char line[sizeof("STATUS=") + LINE_SIZE + 64];
    (void)snprintf(line, sizeof(line), "STATUS=%s", text);
    tell(line);
}
