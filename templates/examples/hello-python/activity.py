"""What a plugin is doing, told to bulkhead by its activity page. To be copied into yours; standard library only.

The page is a file that each sandbox has (docs/activity-page.md). Outside of one, all of this does nothing.
"""

import mmap
import os
import struct
import threading
import time

REQUEST_BEGAN, ENDED_WELL, ENDED_BADLY, AUDIT, NOTE = 1, 2, 3, 4, 5
NO_TRACE = bytes(16)
SLOT_AT, SLOT_SIZE, MOST_SLOTS = 64, 128, 31
RECORDS_AT, RECORD_SIZE, MOST_RECORDS = 4096, 256, 240
SLOT = struct.Struct("<IQQQ16sI4xQQ56s")  # all of a slot behind its sequence
RECORD = struct.Struct("<QQ16sIHH208s")  # all of a record behind its number


class Activity:
    """The page. Give each thread, or each event loop, a slot of its own: 0 to 30."""

    def __init__(self, path=os.environ.get("BULKHEAD_ACTIVITY"), slots=1):
        try:
            fd = os.open(path or os.devnull, os.O_RDWR)
            self.page = mmap.mmap(fd, 65536)
            os.close(fd)
        except (OSError, ValueError):
            self.page = mmap.mmap(-1, 65536)
        # Whole words: what struct writes is written byte by byte, and somebody may be reading.
        self.halves, self.words = memoryview(self.page).cast("I"), memoryview(self.page).cast("Q")
        self.lock = threading.Lock()
        self.recorded = 0
        self.halves[2], self.halves[6] = slots, threading.get_native_id()
        self.page[0:8] = b"BKACT001"

    def tick(self):
        """The main loop is alive; to be called about once a second."""
        self.words[2] = time.monotonic_ns()

    def record(self, kind, text, started=0, duration=0, trace=NO_TRACE):
        """Notes what is still to be read after the end, by whatever it comes. Any thread may."""
        text, tid = text.encode()[:208], threading.get_native_id()
        with self.lock:
            at = RECORDS_AT + RECORD_SIZE * (self.recorded % MOST_RECORDS)
            self.words[at // 8] = 0
            RECORD.pack_into(self.page, at + 8, started, duration, trace, tid, kind, len(text), text)
            self.recorded += 1
            self.words[at // 8] = self.words[4] = self.recorded


class Slot:
    """One thread or loop that serves requests; it tells of the oldest in its hands."""

    def __init__(self, activity, index=0):
        self.activity, self.at, self.tid = activity, SLOT_AT + SLOT_SIZE * index, threading.get_native_id()
        self.requests = {}
        self.sequence = self.progress = self.done = self.failed = 0

    def begin(self, method, trace=NO_TRACE, deadline=0):
        """A request has come; `deadline` in ns of time.monotonic_ns(). Returns what end() wants."""
        request = (time.monotonic_ns(), deadline, trace, method)
        self.requests[id(request)] = request
        self.tell()
        self.activity.record(REQUEST_BEGAN, method, request[0], 0, trace)
        return request

    def end(self, request, well=True):
        started, _, trace, method = self.requests.pop(id(request))
        self.done, self.failed = self.done + well, self.failed + (not well)
        self.progressed()
        duration = max(1, time.monotonic_ns() - started)
        self.activity.record(ENDED_WELL if well else ENDED_BADLY, method, started, duration, trace)

    def progressed(self):
        """The request takes long, and gets on."""
        self.progress += 1
        self.tell()

    def tell(self):
        page, halves, at = self.activity.page, self.activity.halves, self.at
        started, deadline, trace, method = next(iter(self.requests.values()), (0, 0, NO_TRACE, ""))
        halves[at // 4] = (self.sequence + 1) & 0xFFFFFFFF
        SLOT.pack_into(page, at + 4, len(self.requests), started, deadline, self.progress, trace, self.tid,
                       self.done, self.failed, method.encode()[:56])  # fmt: skip
        self.sequence = (self.sequence + 2) & 0xFFFFFFFF
        halves[at // 4] = self.sequence
