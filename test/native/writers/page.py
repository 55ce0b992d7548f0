"""Writes the page that activity-writers.test.ts expects, then changes one slot until it is killed."""
import sys
import time

from activity import AUDIT, NOTE, Activity, Slot

activity = Activity(slots=2)
slot, other = Slot(activity, 0), Slot(activity, 1)
activity.tick()
first = slot.begin("/ended", bytes(range(16)))
slot.end(first)
slot.end(slot.begin("/failed"), well=False)
for number in range(300):
    activity.record(NOTE, f"note {number}")
activity.record(AUDIT, "ä" * 200)
slot.begin("/oldest/" + "x" * 100, b"\xab" * 16, time.monotonic_ns() + 5_000_000_000)
slot.begin("/younger")
slot.progressed()
print("written", flush=True)
sys.stdin.readline()
while True:
    for digit in "0123456789":
        other.end(other.begin("/" + digit * 50, digit.encode() * 16))
