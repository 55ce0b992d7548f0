#include "stdio/lines.h"

#include "stdio/client.h"
#include "stdio/hand.h"
#include "stdio/session.h"

static const struct span none;

void lines_from_client(struct client *client, struct span line) {
    struct session *session = client->session;
    /* Nothing can be said instead of an answer: there is no form for it. */
    if (hand_add(session, CALL_OF_CLIENT, client, none, none, line, NULL) == NULL) {
        client_close(client);
        return;
    }
    session_send(session, line);
}

void lines_from_program(struct session *session, struct span line) {
    struct call *call = session->calls.oldest;
    session_is_well(session);
    if (call == NULL) {
        /* What a program says unasked has somebody to go to if it has one client. */
        if (session->owner != NULL) client_send(session->owner, line);
        return;
    }
    if (call->client != NULL) client_send(call->client, line);
    hand_end(session, call, true);
}

void lines_died(struct session *session) {
    while (session->calls.oldest != NULL) {
        struct call *call = session->calls.oldest;
        if (call->client != NULL) client_close(call->client);
        hand_end(session, call, false);
    }
}
