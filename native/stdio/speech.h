#pragma once
#include "stdio/bridge.h"

/* What the protocols do differently. Lines come without what ends them. */

/* The program of a session runs, for the first time or again. */
void speech_started(struct session *session);

void speech_from_client(struct client *client, struct span line);

void speech_from_program(struct session *session, struct span line);

/* A message that is longer than it may be, of which nothing was kept. */
void speech_too_long(struct client *client);

/* The program will answer nothing of what it has in hand. `how` it ended. */
void speech_died(struct session *session, const char *how);

/* The client has gone. */
void speech_left(struct client *client);

/* Asks the program whether it is there; that call is in hand until it has answered. */
void speech_ping(struct session *session);
