/* What a plugin is doing, told to bulkhead by its activity page. To be copied into yours; no library but libc.
 *
 * The page is a file that each sandbox has (docs/activity-page.md). Outside of one, all of this does nothing.
 * For one thread; several take a slot each, and a lock around activity_record().
 */
#pragma once
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum activity_kind { ACTIVITY_BEGAN = 1, ACTIVITY_ENDED_WELL, ACTIVITY_ENDED_BADLY, ACTIVITY_AUDIT, ACTIVITY_NOTE };

struct activity_slot {
  _Atomic uint32_t sequence; /* odd while the slot is being written */
  uint32_t in_flight;
  uint64_t started_at, deadline, progress;
  unsigned char trace_id[16];
  uint32_t tid, reserved;
  uint64_t done, failed;
  char method[56];
};

struct activity_record {
  _Atomic uint64_t number; /* counts from 1; 0 while it is being written */
  uint64_t started, duration;
  unsigned char trace_id[16];
  uint32_t tid;
  uint16_t kind, length;
  char text[208];
};

/* x86-64 and AArch64 are little endian, as the page is. */
struct activity {
  char magic[8];
  uint32_t slots, flags;
  _Atomic uint64_t tick;
  uint32_t loop_tid, reserved;
  uint64_t recorded;
  char rest[24];
  struct activity_slot slot[31];
  char gap[64];
  struct activity_record record[240];
};
_Static_assert(sizeof(struct activity_slot) == 128 && sizeof(struct activity_record) == 256, "as documented");
_Static_assert(sizeof(struct activity) == 65536, "as documented");

static inline uint32_t activity_tid(void) {
  static _Thread_local uint32_t tid;
  if (tid == 0)
    tid = (uint32_t)gettid();
  return tid;
}

static inline uint64_t activity_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Returns the page; without one to be had, a page that nobody reads. NULL when out of memory. */
static inline struct activity *activity_open(uint32_t slots) {
  const char *path = getenv("BULKHEAD_ACTIVITY");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  struct activity *page =
      mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
  if (fd >= 0)
    close(fd);
  if (page == MAP_FAILED)
    return NULL;
  page->slots = slots;
  page->loop_tid = activity_tid();
  atomic_thread_fence(memory_order_release);
  memcpy(page->magic, "BKACT001", 8);
  return page;
}

/* The main loop is alive; to be called about once a second. */
static inline void activity_tick(struct activity *page) {
  atomic_store_explicit(&page->tick, activity_now(), memory_order_relaxed);
}

/* Notes what is still to be read after the end, by whatever it comes. DURATION 0: it has none. TRACE_ID may be NULL. */
static inline void activity_record(struct activity *page, enum activity_kind kind, const char *text, uint64_t started,
                                   uint64_t duration, const unsigned char *trace_id) {
  struct activity_record *record = &page->record[page->recorded % 240];
  size_t length = strlen(text);
  if (length > sizeof record->text)
    length = sizeof record->text;
  atomic_store_explicit(&record->number, 0, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  record->started = started;
  record->duration = duration;
  if (trace_id)
    memcpy(record->trace_id, trace_id, sizeof record->trace_id);
  else
    memset(record->trace_id, 0, sizeof record->trace_id);
  record->tid = activity_tid();
  record->kind = (uint16_t)kind;
  record->length = (uint16_t)length;
  memcpy(record->text, text, length);
  page->recorded++;
  atomic_store_explicit(&record->number, page->recorded, memory_order_release);
}

static inline void activity_write_begin(struct activity_slot *slot) {
  atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
}

static inline void activity_write_end(struct activity_slot *slot) {
  atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_release);
}

/* A request has come, and is served before the next: what is told is this one. DEADLINE 0: none. */
static inline void activity_begin(struct activity *page, struct activity_slot *slot, const char *method,
                                  uint64_t deadline, const unsigned char *trace_id) {
  uint64_t started = activity_now();
  activity_write_begin(slot);
  slot->in_flight = 1;
  slot->started_at = started;
  slot->deadline = deadline;
  slot->tid = activity_tid();
  if (trace_id)
    memcpy(slot->trace_id, trace_id, sizeof slot->trace_id);
  else
    memset(slot->trace_id, 0, sizeof slot->trace_id);
  size_t length = strlen(method), most = sizeof slot->method - 1; /* the last byte stays 0 */
  memset(slot->method, 0, sizeof slot->method);
  memcpy(slot->method, method, length < most ? length : most);
  activity_write_end(slot);
  activity_record(page, ACTIVITY_BEGAN, method, started, 0, trace_id);
}

static inline void activity_end(struct activity *page, struct activity_slot *slot, bool well) {
  activity_record(page, well ? ACTIVITY_ENDED_WELL : ACTIVITY_ENDED_BADLY, slot->method, slot->started_at,
                  activity_now() - slot->started_at, slot->trace_id);
  activity_write_begin(slot);
  slot->in_flight = 0;
  slot->progress++;
  *(well ? &slot->done : &slot->failed) += 1;
  activity_write_end(slot);
}
