#pragma once
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether the payload takes connections: yes; not yet; not any more. Numbers are the supervisor's, as it sends them. */
enum gate_state { GATE_OPEN, GATE_HELD, GATE_SHUT, GATE_STATES };

const char *gate_state_name(enum gate_state state);

/*
 * Answers accept(2) and accept4(2) of a payload whose filter asks about them. While the gate is open they go on. While it
 * is not, a call on one of the gated listeners waits here: until the gate opens, or, where the listener does not block,
 * for GATE_HOLD_MS and then with EAGAIN, so that an event loop goes on with whatever else it does. Calls on all other
 * sockets go on in any case. There is one gate in a process.
 */
enum { GATE_HOLD_MS = 20 };

/*
 * Makes the gate, for listeners at `first` and so many behind it, of which this process keeps its copies. The payload has
 * them from FIRST_PAYLOAD_FD on.
 */
void gate_make(enum gate_state state, int first, size_t count);

/*
 * With which ids this thread, and those that it makes from now on, look at files: what a thread waits for can be seen by
 * whoever has the payload's. Takes CAP_SETUID and CAP_SETGID, but for the way back to the real ids.
 */
void gate_look_as(uid_t uid, gid_t gid);

/* Whether gate_make() was called. */
bool gate_is_there(void);

/* Changes it. What waits goes on before this returns, if it is open now. */
void gate_set(enum gate_state state);

/*
 * Waits until something was called that comes over this listener, which has to be the same one each time, and answers
 * meanwhile what has waited for long enough.
 */
void gate_wait(int listener);

/* Answers the call, or lets it wait. False: it is none that the gate is for, and nothing was done. */
bool gate_ask(const struct seccomp_notif *call);
