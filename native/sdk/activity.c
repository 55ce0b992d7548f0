/* What the plugin is doing, told by its page: docs/activity-page.md. */
#include "sdk/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 31, RECORDS = 240, RECORD_TEXT = 208, SLOT_METHOD = 56 };

struct slot {
    /* Odd while the slot is being written. */
    _Atomic uint32_t sequence;
    uint32_t in_flight;
    uint64_t started_at, deadline;
    _Atomic uint64_t progress;
    unsigned char trace_id[16];
    uint32_t tid, reserved;
    _Atomic uint64_t done, failed;
    char method[SLOT_METHOD];
};

struct record {
    /* Counts from 1; 0 while it is being written. */
    _Atomic uint64_t number;
    uint64_t started, duration;
    unsigned char trace_id[16];
    uint32_t tid;
    uint16_t kind, length;
    char text[RECORD_TEXT];
};

/* x86-64 and AArch64 are little endian, as the page is. */
struct page {
    char magic[8];
    uint32_t slots, flags;
    _Atomic uint64_t tick;
    uint32_t loop_tid, reserved;
    uint64_t recorded;
    char rest[24];
    struct slot slot[SLOTS];
    char gap[64];
    struct record record[RECORDS];
};
_Static_assert(sizeof(struct slot) == 128 && sizeof(struct record) == 256, "as documented");
_Static_assert(sizeof(struct page) == 65536, "as documented");

static uint32_t thread_id(void) {
    static _Thread_local uint32_t id;
    if (id == 0) id = (uint32_t)gettid();
    return id;
}

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Without a page to be had, one that nobody reads. */
static int activity_open(struct activity *activity, unsigned int slots) {
    const char *path = getenv("BULKHEAD_ACTIVITY");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    /* Touching what is beyond a file's end is SIGBUS. */
    if (fd >= 0 && lseek(fd, 0, SEEK_END) < (off_t)sizeof(struct page)) {
        (void)close(fd);
        fd = -1;
    }
    struct page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    if (fd >= 0) (void)close(fd);
    if (page == MAP_FAILED) return -errno;
    page->slots = slots;
    page->loop_tid = thread_id();
    atomic_thread_fence(memory_order_release);
    memcpy(page->magic, "BKACT001", 8);
    activity->page = page;
    return 0;
}

static void activity_close(struct activity *activity) {
    if (activity->page != NULL) (void)munmap(activity->page, sizeof(struct page));
    activity->page = NULL;
}

static void activity_tick(struct activity *activity, uint64_t now) {
    atomic_store_explicit(&activity->page->tick, now, memory_order_relaxed);
}

static struct slot *activity_slot(struct activity *activity, unsigned int index) {
    return &activity->page->slot[index];
}

static void activity_tell(struct slot *slot, unsigned int in_flight, const struct bulkhead_call *oldest) {
    const uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    slot->in_flight = in_flight;
    if (oldest != NULL) {
        slot->started_at = oldest->began_ns;
        slot->deadline = oldest->deadline_ns;
        slot->tid = thread_id();
        memcpy(slot->trace_id, oldest->trace_id, sizeof(slot->trace_id));
        /* The last byte stays 0. */
        const size_t length = oldest->method->length < SLOT_METHOD - 1 ? oldest->method->length : SLOT_METHOD - 1;
        memcpy(slot->method, oldest->method->name, length);
        memset(slot->method + length, 0, SLOT_METHOD - length);
    }
    atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}

static void add_one(_Atomic uint64_t *number) {
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void activity_count(struct slot *slot, bool well) {
    add_one(well ? &slot->done : &slot->failed);
    add_one(&slot->progress);
}

static void activity_progress(struct slot *slot) {
    add_one(&slot->progress);
}

static void activity_record(struct activity *activity, enum record_kind kind, const struct bulkhead_call *call,
                            const char *text, size_t length, uint64_t duration_ns) {
    if (length > RECORD_TEXT) {
        length = RECORD_TEXT;
        /* Not in the middle of a character. */
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) length--;
    }
    (void)pthread_mutex_lock(&activity->lock);
    struct page *page = activity->page;
    /* The page can be written by others in the sandbox: what it says is no index. */
    struct record *record = &page->record[page->recorded % RECORDS];
    atomic_store_explicit(&record->number, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    record->started = call->began_ns;
    record->duration = duration_ns;
    memcpy(record->trace_id, call->trace_id, sizeof(record->trace_id));
    record->tid = thread_id();
    record->kind = (uint16_t)kind;
    record->length = (uint16_t)length;
    memcpy(record->text, text, length);
    page->recorded++;
    atomic_store_explicit(&record->number, page->recorded, memory_order_release);
    (void)pthread_mutex_unlock(&activity->lock);
}
