"""As page.py, with the writer of the Python SDK."""
import os
import sys
import time

from bulkhead.activity import AUDIT, NOTE, Activity, Label, Slot

activity = Activity(os.environ["BULKHEAD_ACTIVITY"], slots=2)
slot, other = Slot(activity, 0), Slot(activity, 1)
activity.tick()
slot.begin(1, Label("/ended"), bytes(range(16)))
slot.end(1, well=True)
slot.begin(2, Label("/failed"))
slot.end(2, well=False)
for number in range(300):
    activity.record(NOTE, Label(f"note {number}"))
activity.record(AUDIT, Label("ä" * 200))
slot.begin(3, Label("/oldest/" + "x" * 100), b"\xab" * 16, time.monotonic_ns() + 5_000_000_000)
slot.begin(4, Label("/younger"))
slot.progress()
print("written", flush=True)
sys.stdin.readline()
labels = [(Label("/" + digit * 50), digit.encode() * 16) for digit in "0123456789"]
while True:
    for label, trace in labels:
        other.begin(label, label, trace)
        other.end(label, well=True)
