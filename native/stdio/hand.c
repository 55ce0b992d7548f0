#include "stdio/hand.h"

#include <string.h>
#include <time.h>

#include "base/text.h"
#include "stdio/page.h"

static uint64_t nanoseconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void show(const struct session *session) { page_show(session->slot, &session->calls, session->pid); }

struct call *hand_add(struct session *session, enum call_kind kind, struct client *client, struct span id, struct span token,
                      struct span method, const unsigned char *trace_id) {
    if (client != NULL && client->in_hand >= CLIENT_CALLS) return NULL;
    struct call *call = calls_add(&session->calls, kind, client, id, token);
    if (call == NULL) return NULL;
    call->started = nanoseconds();
    (void)text_clean(method.at, method.length, call->method, sizeof(call->method));
    if (trace_id != NULL) memcpy(call->trace_id, trace_id, sizeof(call->trace_id));
    if (client != NULL) client->in_hand++;
    page_began(call);
    show(session);
    return call;
}

void hand_forget(struct session *session, struct call *call) {
    if (call->client != NULL) {
        call->client->in_hand--;
        call->client->busy = bridge.now;
    }
    calls_end(&session->calls, call);
    show(session);
}

void hand_end(struct session *session, struct call *call, bool well) {
    page_ended(session->slot, call, well);
    hand_forget(session, call);
}

void hand_leave(struct session *session, struct client *client, bool stay) {
    for (struct call *call = session->calls.oldest; call != NULL;) {
        struct call *younger = call->younger;
        if (call->client == client && stay) call->client = NULL;
        else if (call->client == client) hand_forget(session, call);
        call = younger;
    }
}
