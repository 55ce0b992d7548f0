#include "stdio/tell.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/datagram.h"
#include "stdio/say.h"

void tell(const char *assignment) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL) return;
    int error = datagram_send(path, assignment, strlen(assignment), NULL, 0, MSG_DONTWAIT);
    if (error < 0) say("cannot tell '%s', ignoring: %s", assignment, strerror(-error));
}
