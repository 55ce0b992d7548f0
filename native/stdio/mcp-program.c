/* What comes from a program in the Model Context Protocol. All of it is untrusted. */
#include <stdio.h>
#include <string.h>

#include "stdio/client.h"
#include "stdio/hand.h"
#include "stdio/mcp.h"
#include "stdio/page.h"
#include "stdio/say.h"
#include "stdio/session.h"

/* Requests of a program that its client has not answered. */
enum { ASKED_MOST = 64 };

/* Why a program that cannot be used is not used. */
static const char refused[] = "answered 'initialize' with an error (BH319)";

static void greeted(struct session *session, const struct message *message) {
    static const char done[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
    if (!json_is_object(message->result)) {
        session_kill(session, refused);
        return;
    }
    if (bridge.options.shared) {
        bytes_clear(&session->greeting);
        bytes_add(&session->greeting, message->result.at, message->result.length);
    }
    /* A client that was greeted and has not said so yet says so itself. */
    if (session->owner == NULL || session->owner->initialized) session_send(session, (struct span){done, sizeof(done) - 1});
    session_is_well(session);
    session_is_up(session);
    /* It was only to show that it works. */
    if (session->owner == NULL && !bridge.options.shared) session_end(session);
}

static void response(struct session *session, const struct message *message) {
    unsigned long number;
    struct call *call = json_number(message->id, &number) ? calls_find(&session->calls, number) : NULL;
    /* It was cancelled, or never asked. */
    if (call == NULL) return;
    const enum call_kind kind = call->kind;
    if (kind == CALL_OF_CLIENT && call->client != NULL && !call->client->closing)
        message_add(&call->client->out, message, (struct edit){message->id, call->id}, (struct edit){0});
    /* A client that was refused has to begin anew, too, when the program was started again. */
    if (kind == CALL_OF_CLIENT && session->owner != NULL && message->error.at != NULL && strcmp(call->method, "initialize") == 0)
        bytes_clear(&session->greeting);
    hand_end(session, call, message->error.at == NULL);
    if (kind == CALL_INITIALIZE) greeted(session, message);
    else session_is_well(session);
}

/* Of a program of its own, the client is asked; one of all has nobody to ask but the bridge. */
static void request(struct session *session, const struct message *message) {
    char line[512];
    int length = 0;
    struct call *call = NULL;
    if (span_is(message->method, "ping") && session->owner == NULL) {
        length = snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{}}", (int)message->id.length, message->id.at);
    } else if (session->owner == NULL) {
        length = snprintf(line, sizeof(line),
                          "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":%d,\"message\":\"several clients share this "
                          "program, and none of them can be asked\"}}",
                          (int)message->id.length, message->id.at, MCP_NO_METHOD);
    } else if (session->asked.count < ASKED_MOST) {
        call = calls_add(&session->asked, CALL_OF_CLIENT, session->owner, message->id, (struct span){0});
    }
    if (call == NULL && length == 0)
        length = snprintf(line, sizeof(line),
                          "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":%d,\"message\":\"there are too many requests "
                          "without an answer already\"}}",
                          (int)message->id.length, message->id.at, MCP_BUSY);
    if (call != NULL) {
        if (!session->owner->closing)
            message_add(&session->owner->out, message, (struct edit){message->id, message_number(call->number)}, (struct edit){0});
    } else if (session->to.length < WAIT_BYTES) {
        session_send(session, (struct span){line, (size_t)length});
    }
}

static void progress(struct session *session, const struct message *message) {
    unsigned long number;
    if (!json_number(message->progress_token, &number)) return;
    struct call *call = calls_find(&session->calls, number);
    if (call == NULL || call->client == NULL || call->token.length == 0) return;
    page_progress(session->slot);
    if (!call->client->closing)
        message_add(&call->client->out, message, (struct edit){message->progress_token, call->token}, (struct edit){0});
}

/* The program does not want to know any more what it asked its client. */
static void cancelled(struct session *session, const struct message *message) {
    struct client *owner = session->owner;
    if (owner == NULL || message->request_id.at == NULL) return;
    struct call *call = calls_of(&session->asked, owner, message->request_id);
    if (call == NULL) return;
    if (!owner->closing)
        message_add(&owner->out, message, (struct edit){message->request_id, message_number(call->number)}, (struct edit){0});
    calls_end(&session->asked, call);
}

static void notification(struct session *session, const struct message *message) {
    if (span_is(message->method, "notifications/progress")) {
        progress(session, message);
    } else if (span_is(message->method, "notifications/cancelled")) {
        cancelled(session, message);
    } else if (session->owner != NULL) {
        client_send(session->owner, message->whole);
    } else if (bridge.options.shared) {
        for (struct client *client = bridge.clients; client != NULL; client = client->next)
            if (client->initialized && client->watch.fd >= 0) client_send(client, message->whole);
    }
}

void mcp_from_program(struct session *session, const struct message *message) {
    switch (message->kind) {
        case MESSAGE_REQUEST:
            request(session, message);
            break;
        case MESSAGE_NOTIFICATION:
            notification(session, message);
            break;
        case MESSAGE_RESPONSE:
            response(session, message);
            break;
        case MESSAGE_INVALID:
        case MESSAGE_MALFORMED:
            say("BH319: a line of the program's output is not a message, and is left out; it belongs on standard error");
    }
}
