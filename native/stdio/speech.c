#include "stdio/speech.h"

#include "stdio/hand.h"
#include "stdio/lines.h"
#include "stdio/mcp.h"
#include "stdio/session.h"

void speech_started(struct session *session) {
    if (bridge.options.protocol == PROTOCOL_MCP) mcp_started(session);
    else session_is_up(session);
}

void speech_from_client(struct client *client, struct span line) {
    struct message message;
    if (bridge.options.protocol == PROTOCOL_LINES) {
        lines_from_client(client, line);
        return;
    }
    if (line.length == 0) return;
    message_read(&message, line);
    mcp_from_client(client, &message);
}

void speech_from_program(struct session *session, struct span line) {
    struct message message;
    if (bridge.options.protocol == PROTOCOL_LINES) {
        lines_from_program(session, line);
        return;
    }
    if (line.length == 0) return;
    message_read(&message, line);
    mcp_from_program(session, &message);
}

void speech_too_long(struct client *client) {
    if (bridge.options.protocol == PROTOCOL_MCP) mcp_error(client, (struct span){0}, MCP_INVALID, "the message is too long");
}

void speech_died(struct session *session, const char *how) {
    if (bridge.options.protocol == PROTOCOL_MCP) mcp_died(session, how);
    else lines_died(session);
}

void speech_left(struct client *client) {
    struct session *session = client->session;
    if (bridge.options.protocol == PROTOCOL_MCP) mcp_left(client);
    /* Answers come in the order of the lines: those of one that has gone have to be waited for. */
    hand_leave(session, client, bridge.options.shared);
    for (struct call *call = session->asked.oldest; call != NULL;) {
        struct call *younger = call->younger;
        if (call->client == client) calls_end(&session->asked, call);
        call = younger;
    }
}

void speech_ping(struct session *session) { mcp_ping(session); }
