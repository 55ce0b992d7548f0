/* What comes from clients in the Model Context Protocol. */
#include <string.h>

#include "stdio/client.h"
#include "stdio/hand.h"
#include "stdio/mcp.h"
#include "stdio/session.h"

/* The program of all clients was greeted by the bridge, once; what it answered is what each client is told. */
static void answer_greeting(struct client *client, const struct message *message) {
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":", middle[] = ",\"result\":", tail[] = "}\n";
    const struct bytes *greeting = &client->session->greeting;
    bytes_add(&client->out, head, sizeof(head) - 1);
    bytes_add(&client->out, message->id.at, message->id.length);
    bytes_add(&client->out, middle, sizeof(middle) - 1);
    bytes_add(&client->out, bytes_at(greeting), greeting->length);
    bytes_add(&client->out, tail, sizeof(tail) - 1);
}

/* "tools/call get-sum" says more on the activity page than "tools/call". */
static struct span method_shown(const struct message *message) {
    static char text[CALL_METHOD_SIZE];
    if (!span_is(message->method, "tools/call") || !json_is_string(message->name)) return message->method;
    struct span name = {message->name.at + 1, message->name.length - 2};
    const size_t room = sizeof(text) - message->method.length - 1;
    memcpy(text, message->method.at, message->method.length);
    text[message->method.length] = ' ';
    if (name.length > room) name.length = room;
    memcpy(text + message->method.length + 1, name.at, name.length);
    return (struct span){text, message->method.length + 1 + name.length};
}

static void request(struct client *client, const struct message *message) {
    struct session *session = client->session;
    if (calls_of(&session->calls, client, message->id) != NULL) {
        mcp_error(client, message->id, MCP_INVALID, "there is a request with this id without an answer already");
        return;
    }
    const bool is_greeting = span_is(message->method, "initialize");
    if (is_greeting && bridge.options.shared) {
        answer_greeting(client, message);
        return;
    }
    unsigned char trace_id[16];
    const bool traced = message_trace_id(message->meta_traceparent, trace_id);
    struct call *call = hand_add(session, CALL_OF_CLIENT, client, message->id, message->meta_token, method_shown(message),
                                 traced ? trace_id : NULL);
    if (call == NULL) {
        mcp_error(client, message->id, MCP_BUSY, "there are too many requests without an answer already");
        return;
    }
    if (is_greeting) {
        bytes_clear(&session->greeting);
        bytes_add(&session->greeting, message->whole.at, message->whole.length);
    }
    const struct span number = message_number(call->number);
    message_add(&session->to, message, (struct edit){message->id, number}, (struct edit){message->meta_token, number});
}

static void cancelled(struct client *client, const struct message *message) {
    struct session *session = client->session;
    if (message->request_id.at == NULL) return;
    struct call *call = calls_of(&session->calls, client, message->request_id);
    /* It was answered already, or is another one's. */
    if (call == NULL) return;
    message_add(&session->to, message, (struct edit){message->request_id, message_number(call->number)}, (struct edit){0});
    hand_forget(session, call);
}

static void notification(struct client *client, const struct message *message) {
    if (span_is(message->method, "notifications/cancelled")) {
        cancelled(client, message);
        return;
    }
    if (span_is(message->method, "notifications/initialized")) client->initialized = true;
    /* The rest is about one client, and who it is the program of all of them does not know. */
    if (!bridge.options.shared) session_send(client->session, message->whole);
}

/* To a request of the program's, which knows it by another id. */
static void response(struct client *client, const struct message *message) {
    struct session *session = client->session;
    unsigned long number;
    if (!json_number(message->id, &number)) return;
    struct call *call = calls_find(&session->asked, number);
    if (call == NULL) return;
    message_add(&session->to, message, (struct edit){message->id, call->id}, (struct edit){0});
    calls_end(&session->asked, call);
}

void mcp_from_client(struct client *client, const struct message *message) {
    switch (message->kind) {
        case MESSAGE_REQUEST:
            request(client, message);
            break;
        case MESSAGE_NOTIFICATION:
            notification(client, message);
            break;
        case MESSAGE_RESPONSE:
            response(client, message);
            break;
        case MESSAGE_INVALID:
            mcp_error(client, message->id, MCP_INVALID, "not a message of JSON-RPC 2.0");
            break;
        case MESSAGE_MALFORMED:
            /* Whoever it is speaks something else. */
            mcp_error(client, (struct span){0}, MCP_PARSE_ERROR, "not JSON");
            client_close(client);
    }
}
