"""A bounded pool of threads for what cannot be awaited."""

import queue
import threading


class Threads:
    """Threads are started when there is work for them, at most so many, and end with the process: one that hangs does not
    keep it from ending, as those of concurrent.futures would.
    """

    def __init__(self, most: int, most_waiting: int, begin=None):
        """`begin` is called once in each thread with its index, from 0 on; what it returns is given to each job."""
        self._most, self._most_waiting, self._begin = most, most_waiting, begin
        self._jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._open = 0

    def submit(self, job, goes_on=False) -> bool:
        """Has job(what begin returned) called, which must not raise. False when too many are waiting already, unless it
        goes on with what was begun.
        """
        with self._lock:
            if self._open >= self._most + self._most_waiting and not goes_on:
                return False
            self._open += 1
            if self._open > self._started and self._started < self._most:
                thread = threading.Thread(target=self._run, args=(self._started,), name="call", daemon=True)
                self._started += 1
                thread.start()
        self._jobs.put(job)
        return True

    def _run(self, index):
        mine = self._begin(index) if self._begin else None
        while True:
            job = self._jobs.get()
            try:
                job(mine)
            finally:
                with self._lock:
                    self._open -= 1
            del job
