#define _GNU_SOURCE
#include "activity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_SIZE = 65536, SLOTS = 31, RECORDS_AT = 4096, RECORDS = 240, METHOD = 56, RECORD_TEXT = 208 };
enum { KIND_BEGAN = 1, KIND_WELL = 2, KIND_BADLY = 3 };

struct header {
    char magic[8];
    uint32_t slots, flags;
    uint64_t tick;
    uint32_t loop, unused;
    uint64_t records;
    uint8_t rest[24];
};

struct slot {
    uint32_t seq, inflight;
    uint64_t started, deadline, progress;
    uint8_t trace[16];
    uint32_t thread, unused;
    uint64_t done, failed;
    char method[METHOD];
};

struct record {
    uint64_t number, started, duration;
    uint8_t trace[16];
    uint32_t thread;
    uint16_t kind, length;
    char text[RECORD_TEXT];
};

_Static_assert(sizeof(struct header) == 64 && sizeof(struct slot) == 128 && sizeof(struct record) == 256, "layout");

static struct header *header;
static struct slot *slots;
static struct record *records;

static uint64_t now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void activity_open(void) {
    const char *path = getenv("BULKHEAD_ACTIVITY");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    uint8_t *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (page == MAP_FAILED) return;
    header = (struct header *)page;
    slots = (struct slot *)(page + sizeof(*header));
    records = (struct record *)(page + RECORDS_AT);
    header->slots = SLOTS;
    header->loop = (uint32_t)gettid();
    activity_tick();
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(header->magic, "BKACT001", sizeof(header->magic));
}

void activity_tick(void) {
    if (header != NULL) __atomic_store_n(&header->tick, now(), __ATOMIC_RELEASE);
}

static void note(const struct slot *slot, uint16_t kind) {
    uint64_t number = __atomic_fetch_add(&header->records, 1, __ATOMIC_RELAXED);
    struct record *record = &records[number % RECORDS];
    __atomic_store_n(&record->number, 0, __ATOMIC_RELEASE);
    record->started = slot->started;
    record->duration = kind == KIND_BEGAN ? 0 : now() - slot->started;
    memcpy(record->trace, slot->trace, sizeof(record->trace));
    record->thread = slot->thread;
    record->kind = kind;
    record->length = (uint16_t)strnlen(slot->method, METHOD);
    memcpy(record->text, slot->method, record->length);
    __atomic_store_n(&record->number, number + 1, __ATOMIC_RELEASE);
}

static void touch(struct slot *slot) {
    __atomic_add_fetch(&slot->seq, 1, __ATOMIC_ACQ_REL);
}

void activity_begin(int number, const char *method, const uint8_t trace[16], uint64_t deadline_ms) {
    if (header == NULL || number >= SLOTS) return;
    struct slot *slot = &slots[number];
    touch(slot);
    slot->thread = (uint32_t)gettid();
    slot->progress++;
    if (slot->inflight++ == 0) {
        slot->started = now();
        slot->deadline = deadline_ms == 0 ? 0 : slot->started + deadline_ms * 1000000;
        memcpy(slot->trace, trace, sizeof(slot->trace));
        memset(slot->method, 0, METHOD);
        memcpy(slot->method, method, strnlen(method, METHOD));
    }
    touch(slot);
    note(slot, KIND_BEGAN);
}

void activity_progress(int number) {
    if (header != NULL && number < SLOTS) __atomic_add_fetch(&slots[number].progress, 1, __ATOMIC_RELAXED);
}

void activity_end(int number, int well) {
    if (header == NULL || number >= SLOTS) return;
    struct slot *slot = &slots[number];
    note(slot, well ? KIND_WELL : KIND_BADLY);
    touch(slot);
    slot->progress++;
    *(well ? &slot->done : &slot->failed) += 1;
    slot->inflight--;
    touch(slot);
}
