#include "init/streams.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Looks, one a millisecond. What journald has read it still has to ask about, which is not seen from here. */
enum { MOST_LOOKS = 200, LOOKS_AFTER = 5 };

void streams_drain(void) {
    for (int look = 0, done = 0; look < MOST_LOOKS && done < LOOKS_AFTER; look++) {
        int unread;
        /* Not a socket: nobody will ask. */
        if (ioctl(STDOUT_FILENO, SIOCOUTQ, &unread) < 0) return;
        done = unread == 0 ? done + 1 : 0;
        (void)poll(NULL, 0, 1);
    }
}
