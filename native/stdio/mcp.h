#pragma once
#include "stdio/bridge.h"
#include "stdio/message.h"

/* Errors of the bridge, in the range that JSON-RPC leaves to implementations. docs/stdio.md lists them. */
enum {
    MCP_PARSE_ERROR = -32700,
    MCP_INVALID = -32600,
    MCP_NO_METHOD = -32601,
    /* The program ended while it had the request, which may or may not have been done. */
    MCP_PROGRAM_ENDED = -32050,
    /* Too much in hand; it was not begun. */
    MCP_BUSY = -32051,
};

/* An answer of the bridge's own. An empty id is null. The text has nothing in it that JSON escapes. */
void mcp_error(struct client *client, struct span id, int code, const char *text);

void mcp_from_client(struct client *client, const struct message *message);

void mcp_from_program(struct session *session, const struct message *message);

/* Greets the program, on behalf of the client or of all of them. */
void mcp_started(struct session *session);

/* Cancels what a client that has gone was waiting for. */
void mcp_left(struct client *client);

void mcp_ping(struct session *session);

/* Answers whatever the program had in hand. */
void mcp_died(struct session *session, const char *how);
