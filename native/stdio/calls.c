#include "stdio/calls.h"

#include <stdlib.h>
#include <string.h>

#include "stdio/say.h"

struct call *calls_add(struct calls *calls, enum call_kind kind, struct client *client, struct span id, struct span token) {
    if (calls->count == CALLS_MOST) return NULL;
    /* Free places are looked for from the last one on, so that a number comes again as late as can be. */
    uint64_t number = calls->serial;
    do number++;
    while (calls->places[number % CALLS_MOST] != NULL);
    struct call *call = calloc(1, sizeof(*call) + id.length + token.length);
    if (call == NULL) die("out of memory");
    char *texts = (char *)(call + 1);
    *call = (struct call){.number = number, .kind = kind, .client = client, .older = calls->youngest};
    call->id = (struct span){texts, id.length};
    call->token = (struct span){texts + id.length, token.length};
    if (id.length > 0) memcpy(texts, id.at, id.length);
    if (token.length > 0) memcpy(texts + id.length, token.at, token.length);
    if (calls->youngest != NULL) calls->youngest->younger = call;
    calls->youngest = call;
    if (calls->oldest == NULL) calls->oldest = call;
    calls->places[number % CALLS_MOST] = call;
    calls->serial = number;
    calls->count++;
    return call;
}

struct call *calls_find(const struct calls *calls, unsigned long number) {
    struct call *call = calls->places[number % CALLS_MOST];
    return call != NULL && call->number == number ? call : NULL;
}

struct call *calls_of(const struct calls *calls, const struct client *client, struct span id) {
    for (struct call *call = calls->oldest; call != NULL; call = call->younger)
        if (call->client == client && span_equal(call->id, id)) return call;
    return NULL;
}

void calls_end(struct calls *calls, struct call *call) {
    calls->places[call->number % CALLS_MOST] = NULL;
    calls->count--;
    if (call->older != NULL) call->older->younger = call->younger;
    else calls->oldest = call->younger;
    if (call->younger != NULL) call->younger->older = call->older;
    else calls->youngest = call->older;
    free(call);
}
