#pragma once
#include "stdio/bridge.h"

/* Programs that answer each line with a line, in order. */
void lines_from_client(struct client *client, struct span line);
void lines_from_program(struct session *session, struct span line);
void lines_died(struct session *session);
