"""What the plugin is doing, told to bulkhead by the activity page of its sandbox (docs/activity-page.md)."""

import mmap
import os
import struct
import threading
import time

from .errors import cut

PAGE_SIZE = 65536
MAGIC = b"BKACT001"
MOST_SLOTS, SLOTS_AT, SLOT_SIZE = 31, 64, 128
MOST_RECORDS, RECORDS_AT, RECORD_SIZE = 240, 4096, 256
# In 32-bit words from the page's begin, and in 64-bit words.
USED, LOOP_TID = 2, 6
TICK, WRITTEN = 2, 4
# Behind the sequence of a slot: in flight, since when, deadline, progress, trace, thread, done, failed, method.
SLOT = struct.Struct("<IQQQ16sI4xQQ56s")
# Behind the number of a record: began, took, trace, thread, kind, length, text.
RECORD = struct.Struct("<QQ16sIHH208s")
BEGAN, ENDED_WELL, ENDED_BADLY, AUDIT, NOTE = 1, 2, 3, 4, 5
MOST_METHOD, MOST_TEXT = 56, 208  # bytes
NO_TRACE = bytes(16)


class Label:
    """The name of a method as slots and records want it, made once."""

    __slots__ = ("method", "text", "length")

    def __init__(self, name: str):
        self.method, self.text = cut(name, MOST_METHOD), cut(name, MOST_TEXT)
        self.length = len(self.text)


class Activity:
    """The page. All of it may be called by any thread, but slots belong to one each."""

    def __init__(self, path, slots: int):
        """Raises OSError or ValueError when there is no page to be written at the path."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.page = mmap.mmap(descriptor, PAGE_SIZE)
        finally:
            os.close(descriptor)
        # struct writes byte by byte, and somebody may be reading: single numbers are written as whole words.
        self.halves, self.words = memoryview(self.page).cast("I"), memoryview(self.page).cast("Q")
        self._lock = threading.Lock()
        self._recorded = 0
        self.halves[USED], self.halves[LOOP_TID] = min(slots, MOST_SLOTS), threading.get_native_id()
        self.page[: len(MAGIC)] = MAGIC

    def tick(self):
        """The loop is alive; to be called about once a second."""
        self.words[TICK] = time.monotonic_ns()

    def record(self, kind: int, label: Label, began=0, took=0, trace=NO_TRACE, tid=None):
        """Into the flight recorder, which outlives the process. Times are of time.monotonic_ns()."""
        if tid is None:
            tid = threading.get_native_id()
        with self._lock:
            at = RECORDS_AT + RECORD_SIZE * (self._recorded % MOST_RECORDS)
            number = self._recorded = self._recorded + 1
            self.words[at // 8] = 0
            RECORD.pack_into(self.page, at + 8, began, took, trace, tid, kind, label.length, label.text)
            self.words[at // 8] = self.words[WRITTEN] = number


class Slot:
    """One thread, or the loop, with the requests in its hands; it tells of the oldest. To be made by that thread."""

    def __init__(self, activity: Activity, index: int):
        self._activity, self._at = activity, SLOTS_AT + SLOT_SIZE * index
        self._tid = threading.get_native_id()
        self._requests = {}
        self._sequence = self._progress = self._done = self._failed = 0

    def begin(self, key, label: Label, trace=NO_TRACE, deadline=0):
        """`key` is whatever end() will be called with; the deadline is of time.monotonic_ns(), 0 for none."""
        began = self.enter(key, label, trace, deadline)
        self._activity.record(BEGAN, label, began, 0, trace, self._tid)

    def enter(self, key, label: Label, trace, deadline) -> int:
        """As begin(), for a part of a request: it is not counted and not recorded. Returns when it began."""
        began = time.monotonic_ns()
        self._requests[key] = (began, deadline, trace, label)
        self._tell()
        return began

    def leave(self, key):
        """The end of what was entered."""
        del self._requests[key]
        self._progress += 1
        self._tell()

    def end(self, key, well: bool):
        began, _, trace, label = self._requests.pop(key)
        if well:
            self._done += 1
        else:
            self._failed += 1
        self._progress += 1
        self._tell()
        kind = ENDED_WELL if well else ENDED_BADLY
        self._activity.record(kind, label, began, max(1, time.monotonic_ns() - began), trace, self._tid)

    def progress(self):
        """The oldest request takes long, and gets on."""
        self._progress += 1
        self._activity.words[(self._at + 24) // 8] = self._progress

    def _tell(self):
        requests, sequence_at, activity = self._requests, self._at // 4, self._activity
        for began, deadline, trace, label in requests.values():
            method = label.method
            break
        else:
            began, deadline, trace, method = 0, 0, NO_TRACE, b""
        sequence = self._sequence
        activity.halves[sequence_at] = (sequence + 1) & 0xFFFFFFFF
        SLOT.pack_into(
            activity.page, self._at + 4, len(requests), began, deadline, self._progress, trace, self._tid,
            self._done, self._failed, method,
        )  # fmt: skip
        self._sequence = activity.halves[sequence_at] = (sequence + 2) & 0xFFFFFFFF
