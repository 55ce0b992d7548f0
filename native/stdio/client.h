#pragma once
#include "stdio/bridge.h"

/* Takes a connection. The descriptor is the client's from now on; it does not block. */
void client_new(int fd);

/* A message to the client, with what ends it. */
void client_send(struct client *client, struct span line);

/* It gets what there is for it, and no more. */
void client_close(struct client *client);

/* Takes what the client has sent, as far as its session does. */
void client_turn(struct client *client);

/* Sends what the client takes now; lets go of one that is done, has gone, or does not read at all. */
void client_write(struct client *client);

/* Says what epoll is to wait for, after everything else. */
void client_settle(struct client *client);

/* Frees those that have gone. */
void client_sweep(void);
