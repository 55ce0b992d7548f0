/* What this plugin does wrong when it is asked to. Each act is called in the thread that has the request in its hands; one
 * that returns lets the request be answered well. */
#pragma once
#include <stdbool.h>

struct act {
    const char *name;
    /* `amount` is the request's `?n=`, 0 without one; `slot` is the thread's in the activity page. */
    void (*run)(int amount, int slot);
};

/* Each list ends with an act without a name. */
extern const struct act DEATHS[], GREED[], STUCK[], ANSWERS[];

/* What acts tell the server. */
struct manners {
    /* The main loop stands still, and what is accepted is not answered. */
    bool silent;
    /* Requests that the main loop has in its hands and will never end. */
    int forgotten;
    /* The threads that serve have ended; one that answers health checks is left. */
    bool workers_dead;
    /* /ready, or /healthz, is answered with 503. */
    bool unready, unhealthy;
    /* /ready is answered with 200 and 503 in turn, each for so many milliseconds; 0: it does not flap. */
    int flapping;
    /* Each request takes so many milliseconds longer; so many of a hundred are answered with 503. */
    int slowed, bad_percent;
};
extern volatile struct manners manners;

/* Runs the function in a thread of its own. */
void in_background(void (*function)(int), int amount);
