#pragma once
#include <stdbool.h>

#include "stdio/bridge.h"

/* What programs have in hand: the one place where it changes, and where the activity page learns of it. */

/* NULL when the program, or the client, has too much in hand already. `method` need not be clean. */
struct call *hand_add(struct session *session, enum call_kind kind, struct client *client, struct span id, struct span token,
                      struct span method, const unsigned char *trace_id);

/* It was answered, or never will be. */
void hand_end(struct session *session, struct call *call, bool well);

/* Nobody wants the answer any more, and none is expected. */
void hand_forget(struct session *session, struct call *call);

/* All of a client that has gone; those whose answer has to be waited for stay, as nobody's. */
void hand_leave(struct session *session, struct client *client, bool stay);
