#define _GNU_SOURCE
#include "page.h"

#include <pthread.h>

#include "../../../templates/examples/hello-c/activity.h"

enum { SLOTS = 31 };

static struct activity *page;
/* Its records are of all threads. */
static pthread_mutex_t records = PTHREAD_MUTEX_INITIALIZER;

void page_open(void) {
    page = activity_open(SLOTS);
    if (page == NULL) abort();
    page_tick();
}

void page_tick(void) {
    activity_tick(page);
}

void page_begin(int slot, const char *method, const uint8_t trace[16], uint64_t deadline_ms) {
    uint64_t deadline = deadline_ms == 0 ? 0 : activity_now() + deadline_ms * 1000000;
    if (slot >= SLOTS) return;
    (void)pthread_mutex_lock(&records);
    activity_begin(page, &page->slot[slot], method, deadline, trace);
    (void)pthread_mutex_unlock(&records);
}

void page_progress(int slot) {
    page->slot[slot].progress++;
}

void page_end(int slot, bool well) {
    (void)pthread_mutex_lock(&records);
    activity_end(page, &page->slot[slot], well);
    (void)pthread_mutex_unlock(&records);
}
