"""The serving half of a plugin: its connections, what they share, and its end."""

import asyncio
import os
import sys
import traceback

from .activity import Activity, Slot
from .connection import Connection
from .enclosed import MOST_BODIES_HELD
from .errors import PluginError
from .greeting import FEATURES, PROTOCOL
from .listening import Acceptor
from .messages import trace_id
from .notify import watchdog_interval
from .threads import Threads
from .version import __version__

MOST_CONNECTIONS = 256
MOST_WAITING = 256  # calls for whom no thread is free
MOST_INCOMING = 128 * 1024 * 1024  # bytes of messages that have not come as a whole, on all connections
MOST_HELD = 128 * 1024 * 1024  # bytes of messages whose calls are being served
TICK = 1.0  # seconds
DRAIN_TURN = 0.1  # seconds between looks at who is still there while draining
MOST_REPORTS = 10  # tracebacks in a tick


class Server:
    def __init__(self, methods, threads: int, frame_limit: int, notifier):
        """To be made in the loop."""
        self.loop = asyncio.get_running_loop()
        self.methods, self.frame_limit = methods, frame_limit
        # Whatever need not wait is done at once, from Python 3.12 on.
        self.eager = sys.version_info >= (3, 12)
        self.draining = False
        self._notifier = notifier
        self._connections = set()
        self._incoming = self._held = self._bodies_held = self._working = self._reports = 0
        self.activity = _activity(threads + 1)
        self.slot = _NoSlot() if self.activity is None else Slot(self.activity, 0)
        self._threads = Threads(threads, MOST_WAITING, lambda index: self.activity and Slot(self.activity, index + 1))
        self._acceptor = None
        self._finished = self.loop.create_future()
        self._draining = None

    async def serve(self, listener):
        """Until it has drained. Closes the listener."""
        if not self.draining:
            self._acceptor = Acceptor(listener, lambda: Connection(self))
            self._tick()
            self._notifier.say("READY=1")
            self._watchdog()
        try:
            await self._finished
        finally:
            listener.close()

    def _tick(self):
        if self.activity is not None:
            self.activity.tick()
        self._reports = 0
        for connection in tuple(self._connections):
            connection.look()
        self.loop.call_later(TICK, self._tick)

    def _watchdog(self):
        interval = watchdog_interval()
        if interval is not None:
            self._notifier.say("WATCHDOG=1")
            self.loop.call_later(interval, self._watchdog)

    def drain(self, on_drain):
        """Takes nobody new, tells those who are there, and is done when all have left and `on_drain`, which are functions,
        has been called. Not until then: how long that may take is for whoever asked to say.
        """
        if self.draining:
            return
        self.draining = True
        self._notifier.say("STOPPING=1")
        if self._acceptor is not None:
            self._acceptor.close()
        for connection in tuple(self._connections):
            connection.drain()
        self._draining = self.loop.create_task(self._drained(on_drain))

    async def _drained(self, on_drain):
        for function in on_drain:
            try:
                result = function()
                if asyncio.iscoroutine(result):
                    await result
            except Exception as error:
                self.report("on_drain", error)
        while self._connections or (self._acceptor is not None and self._acceptor.joining()):
            for connection in tuple(self._connections):
                connection.leave_if_idle()
            await asyncio.sleep(DRAIN_TURN)
        self.stop()

    def stop(self):
        """Ends serve() now."""
        if not self._finished.done():
            self._finished.set_result(None)

    def connections(self) -> int:
        return len(self._connections)

    # For connections.

    def joined(self, connection) -> bool:
        """False when there are too many; it has to end then."""
        if len(self._connections) >= MOST_CONNECTIONS:
            return False
        self._connections.add(connection)
        return True

    def left(self, connection):
        self._connections.discard(connection)

    def greeting(self, window: int, more_features) -> dict:
        return {
            "protocol": PROTOCOL,
            "frame": self.frame_limit,
            "features": FEATURES + more_features,
            "window": window,
            "plugin": os.environ.get("BULKHEAD_PLUGIN"),
            "version": os.environ.get("BULKHEAD_VERSION"),
            "sandbox": os.environ.get("BULKHEAD_SANDBOX"),
            "sdk": f"python/{__version__}",
        }

    def hold(self, more: int) -> bool:
        """Counts bytes of messages that are not whole yet; False when they are too many, all together."""
        self._incoming += more
        return more <= 0 or self._incoming <= MOST_INCOMING

    def has_room(self, size: int, bodies: int) -> bool:
        if self._bodies_held + bodies > MOST_BODIES_HELD:
            return False
        return self._working == 0 or self._held + size <= MOST_HELD

    def began(self, call):
        self._count(call, 1)

    def ended(self, call):
        self._count(call, -1)

    def _count(self, call, sign: int):
        self._working += sign
        self._held += sign * call._size
        if call._enclosed is not None:
            self._bodies_held += sign * call._enclosed.size

    # For what runs.

    async def in_thread(self, call, method, params):
        """The result of a plain function."""

        def work(slot):
            if call._answered:
                return None
            call._slot = slot
            if slot is None:
                return method.function(call, *params)
            expires = 0 if call._expires is None else int(call._expires * 1e9)
            slot.begin(call, method.label, trace_id(call.traceparent), expires)
            well = False
            try:
                result = method.function(call, *params)
                well = True
            finally:
                slot.end(call, well)
            return result

        return await self._result_of(work, goes_on=False)

    async def read_enclosed(self, enclosed):
        """The content of what came beside a message, which may be much, to where it belongs."""
        await self._result_of(lambda slot: enclosed.read(), goes_on=False)

    async def step_in_thread(self, call, method, step):
        """One step of a plain generator, which the loop has in its slot, and the thread in its own for so long."""

        def work(slot):
            call._slot = slot
            if slot is None:
                return step()
            slot.enter(call, method.label, trace_id(call.traceparent), int((call._expires or 0) * 1e9))
            try:
                return step()
            finally:
                slot.leave(call)
                call._slot = self.slot  # the loop has it again, and its parts are its progress

        return await self._result_of(work, goes_on=True)

    async def _result_of(self, work, goes_on: bool):
        outcome = self.loop.create_future()

        def job(slot):
            try:
                result, error = work(slot), None
            # Whatever it is, it has to be answered, and the thread has to live on.
            except BaseException as raised:  # noqa: BLE001
                result, error = None, raised
            try:
                self.loop.call_soon_threadsafe(_settle, outcome, (result, error))
            except RuntimeError:
                pass  # the loop has ended, and nobody waits

        if not self._threads.submit(job, goes_on):
            raise PluginError("overloaded", "too many calls wait for a thread", retry=True)
        result, error = await outcome
        if error is not None:
            raise error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
        return result

    def report(self, name: str, error: BaseException):
        """A traceback for whoever wrote the plugin, but not any number of them."""
        self._reports += 1
        if self._reports <= MOST_REPORTS:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            sys.stderr.write(f"'{name}' failed\n{''.join(lines)}")
        elif self._reports == MOST_REPORTS + 1:
            sys.stderr.write("more calls failed in the same second\n")


def _settle(outcome, result):
    if not outcome.done():
        outcome.set_result(result)


def _activity(slots: int):
    path = os.environ.get("BULKHEAD_ACTIVITY")
    if not path:
        return None
    try:
        return Activity(path, slots)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the activity page cannot be opened: {error}, ignoring\n")
        return None


class _NoSlot:
    """In place of the loop's slot, outside of a sandbox."""

    def begin(self, key, label, trace, deadline):
        pass

    def end(self, key, well):
        pass

    def progress(self):
        pass
