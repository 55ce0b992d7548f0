#pragma once

/* The listener that the child sent to its end of the socket, or -1 if it ended without one. */
int handover_receive(int socket);
