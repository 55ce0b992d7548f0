#pragma once
#include "stdio/bridge.h"

/* A new session, whose program is started in this turn. `owner` is its client; NULL for one of all, or of none. */
struct session *session_new(struct client *owner);

/* Whether it takes more of its clients now. */
bool session_takes(const struct session *session);

/* Whether its client does not read what there is already. Of a session that is shared nobody waits for a client. */
bool session_is_behind(const struct session *session);

void session_send(struct session *session, struct span line);

/* Its program said who it is, or something else that shows that it works. */
void session_is_well(struct session *session);

/* What was STARTING is UP. */
void session_is_up(struct session *session);

/* Its program gets no more input, and is to end. */
void session_end(struct session *session);

/* Kills the program, whose death is then treated as any other. */
void session_kill(struct session *session, const char *why);

/* What time brings about, and what the program has said. */
void session_turn(struct session *session);

/* Sends what the program takes now. */
void session_write(struct session *session);

/* Says what epoll is to wait for, after everything else. */
void session_settle(struct session *session);

/* Learns of programs that have ended. */
void session_reap(void);

/* To all programs. */
void session_signal(int number);

/* Frees those of which nothing is left. */
void session_sweep(void);
