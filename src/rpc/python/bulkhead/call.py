"""One call, as the method that serves it sees it."""

import time

from .activity import AUDIT, NOTE, Label
from .errors import BadFrame, Cancelled, PluginError
from .messages import trace_id

MOST_OPEN_CREDIT = 65_536


class Call:
    """What a method gets before its parameters.

    ``method``, ``traceparent``, ``tracestate``, ``idempotency`` and ``client`` (the name in its greeting) are strings or
    None; ``greeted`` says whether the client knows more than plain MessagePack-RPC; ``result`` is what a stream may set, to
    be had by the client after the last part.
    """

    __slots__ = (
        "method", "traceparent", "tracestate", "idempotency", "client", "greeted", "result",
        "_connection", "_id", "_size", "_expires", "_timer", "_answered", "_cancelled", "_begun", "_stop", "_credit",
        "_more", "_slot", "_enclosed",
    )  # fmt: skip

    def __init__(self, connection, call_id, method: str, meta, size: int):
        self.method, self.result = method, None
        self.traceparent, self.tracestate, self.idempotency = meta.traceparent, meta.tracestate, meta.idempotency
        self.client, self.greeted = connection.client_name, connection.greeted
        self._connection, self._id, self._size = connection, call_id, size
        self._answered = self._cancelled = self._begun = False
        self._stop = self._more = self._slot = self._timer = self._expires = self._enclosed = None
        # None: the result is to come in one piece.
        self._credit = meta.stream if connection.client_takes("stream") and call_id is not None else None
        if meta.deadline is not None:
            loop = connection.server.loop
            self._expires = loop.time() + meta.deadline / 1000
            self._timer = loop.call_at(self._expires, self._expire)

    @property
    def deadline_ms(self):
        """Milliseconds that are left, 0 when they are over, or None when the client waits for as long as it takes."""
        return None if self._expires is None else max(0, int((self._expires - time.monotonic()) * 1000))

    @property
    def cancelled(self) -> bool:
        """Nobody waits any more: the client said so or left, or the deadline is over. An `async def` is ended then;
        whatever runs in a thread has to look by itself.
        """
        return self._cancelled

    def check(self):
        """Raises Cancelled when nobody waits any more: for long work in threads."""
        if self._cancelled:
            raise Cancelled()

    def progress(self):
        """This call takes long, and gets on: bulkhead does not take it for a hang."""
        if self._slot is not None:
            self._slot.progress()

    def note(self, text: str):
        """Into the flight recorder of the sandbox, at most 208 bytes: it is read after a crash, whatever crashed."""
        self._record(NOTE, text)

    def audit(self, text: str):
        """As note(), for what somebody has to answer for."""
        self._record(AUDIT, text)

    def _record(self, kind, text):
        activity = self._connection.server.activity
        if activity is not None:
            activity.record(kind, Label(text), time.monotonic_ns(), 0, trace_id(self.traceparent))

    # What follows is called in the loop, by the connection and by whatever runs the method.

    def _succeed(self, result):
        if self._settle():
            self._connection.respond(self._id, result)

    def _fail(self, error: PluginError):
        if self._settle():
            self._connection.respond_error(self._id, error)

    def _settle(self) -> bool:
        """True once, if there is anything to be answered: the first answer counts."""
        if self._answered:
            return False
        self._answered = True
        if self._timer is not None:
            self._timer.cancel()
        return self._connection.settle(self._id)

    def _end(self, error):
        """Nobody waits any more. It is answered at once, even when the method does not end for that."""
        if self._answered:
            return
        self._cancelled = True
        if error is None:
            self._settle()
        else:
            self._fail(error)
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
        if self._stop is not None:
            self._stop()

    def _cancel(self):
        self._end(PluginError("cancelled", "ended because the client wished it"))

    def _expire(self):
        self._end(PluginError("deadline-exceeded", f"'{self.method}' was not done in time"))

    def _abandon(self):
        self._end(None)

    def _give(self, parts: int):
        if self._credit is None:
            return
        self._credit += parts
        if self._credit > MOST_OPEN_CREDIT:
            raise BadFrame(f"more than {MOST_OPEN_CREDIT} parts of credit")
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def _take_credit(self):
        """Waits until a part may be sent, or nobody wants it any more."""
        while self._credit == 0 and not self._answered:
            self._more = self._connection.server.loop.create_future()
            await self._more
        self._more = None
        self._credit -= 1
