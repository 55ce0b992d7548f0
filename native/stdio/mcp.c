/*
 * What the bridge says itself in the Model Context Protocol: it greets a program that all clients share, greets one that
 * was started again as its client once did, asks whether one is there, and answers for one that is not.
 */
#include "stdio/mcp.h"

#include <stdio.h>
#include <string.h>

#include "stdio/client.h"
#include "stdio/hand.h"
#include "stdio/say.h"
#include "stdio/session.h"

/* The newest version that the bridge was tried with; a program that has only older ones answers with its newest. */
#define PROTOCOL_VERSION "2025-11-25"

static const struct span nothing;

static struct span text_span(const char *text) { return (struct span){text, strlen(text)}; }

void mcp_error(struct client *client, struct span id, int code, const char *text) {
    char line[1024];
    struct span shown = id.length > 0 ? id : text_span("null");
    int length = snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":%d,\"message\":\"%s\"}}",
                          (int)shown.length, shown.at, code, text);
    if (length > 0 && (size_t)length < sizeof(line)) client_send(client, (struct span){line, (size_t)length});
}

static void ask(struct session *session, enum call_kind kind, const char *method, const char *params) {
    struct call *call = hand_add(session, kind, NULL, nothing, nothing, text_span(method), NULL);
    /* With so much in hand that there is no place for it, answers will show whether the program is there. */
    if (call == NULL) return;
    char line[512];
    int length = snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%lu,\"method\":\"%s\"%s}", (unsigned long)call->number,
                          method, params);
    session_send(session, (struct span){line, (size_t)length});
}

void mcp_ping(struct session *session) { ask(session, CALL_PING, "ping", ""); }

static void greet_again(struct session *session) {
    struct message message;
    message_read(&message, (struct span){bytes_at(&session->greeting), session->greeting.length});
    struct call *call = hand_add(session, CALL_INITIALIZE, NULL, nothing, nothing, message.method, NULL);
    if (call == NULL) return;
    message_add(&session->to, &message, (struct edit){message.id, message_number(call->number)}, (struct edit){0});
}

void mcp_started(struct session *session) {
    if (session->owner == NULL)
        ask(session, CALL_INITIALIZE, "initialize",
            ",\"params\":{\"protocolVersion\":\"" PROTOCOL_VERSION
            "\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bulkhead\",\"version\":\"1\"}}");
    else if (session->greeting.length > 0)
        greet_again(session);
    else
        session_is_up(session);
}

void mcp_left(struct client *client) {
    struct session *session = client->session;
    if (session->owner == client) return;
    for (const struct call *call = session->calls.oldest; call != NULL; call = call->younger) {
        if (call->client != client) continue;
        char line[160];
        int length = snprintf(line, sizeof(line),
                              "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%lu,"
                              "\"reason\":\"the client has gone\"}}",
                              (unsigned long)call->number);
        session_send(session, (struct span){line, (size_t)length});
    }
    hand_leave(session, client, false);
}

void mcp_died(struct session *session, const char *how) {
    char text[256];
    (void)snprintf(text, sizeof(text), "the program %s while it had this request, and is started again", how);
    while (session->calls.oldest != NULL) {
        struct call *call = session->calls.oldest;
        if (call->client != NULL) mcp_error(call->client, call->id, MCP_PROGRAM_ENDED, text);
        /* A client that was never greeted has to begin anew. */
        if (session->owner != NULL && call->client != NULL && strcmp(call->method, "initialize") == 0)
            bytes_clear(&session->greeting);
        hand_end(session, call, false);
    }
    while (session->asked.oldest != NULL) calls_end(&session->asked, session->asked.oldest);
}
