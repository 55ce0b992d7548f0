#include "stdio/page.h"

#include "../../templates/examples/hello-c/activity.h"
#include "stdio/say.h"

static struct activity *page;

/* Those beyond the last are not told of. */
static struct activity_slot *slot_of(int slot) { return slot >= 0 && slot < PAGE_SLOTS ? &page->slot[slot] : NULL; }

void page_open(void) {
    page = activity_open(PAGE_SLOTS);
    if (page == NULL) die("out of memory");
    page_tick();
}

void page_tick(void) { activity_tick(page); }

void page_show(int slot, const struct calls *calls, pid_t pid) {
    struct activity_slot *shown = slot_of(slot);
    if (shown == NULL) return;
    const struct call *oldest = calls->oldest;
    activity_write_begin(shown);
    shown->in_flight = (uint32_t)calls->count;
    shown->tid = pid > 0 ? (uint32_t)pid : 0;
    if (oldest != NULL) {
        shown->started_at = oldest->started;
        shown->deadline = 0;
        memcpy(shown->trace_id, oldest->trace_id, sizeof(shown->trace_id));
        memcpy(shown->method, oldest->method, sizeof(shown->method));
    }
    activity_write_end(shown);
}

void page_began(const struct call *call) {
    activity_record(page, ACTIVITY_BEGAN, call->method, call->started, 0, call->trace_id);
}

void page_ended(int slot, const struct call *call, bool well) {
    activity_record(page, well ? ACTIVITY_ENDED_WELL : ACTIVITY_ENDED_BADLY, call->method, call->started,
                    activity_now() - call->started, call->trace_id);
    struct activity_slot *shown = slot_of(slot);
    if (shown == NULL) return;
    *(well ? &shown->done : &shown->failed) += 1;
    shown->progress++;
}

void page_progress(int slot) {
    struct activity_slot *shown = slot_of(slot);
    if (shown != NULL) shown->progress++;
}

void page_note(const char *text) { activity_record(page, ACTIVITY_NOTE, text, activity_now(), 0, NULL); }
