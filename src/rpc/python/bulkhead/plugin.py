"""What a plugin is written with."""

import asyncio
import contextlib
import os
import signal
import sys

from . import listening
from .activity import MOST_SLOTS
from .checkpoint import Checkpoint
from .frames import FRAME_LIMIT, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT
from .journal import Journal
from .notify import Notifier
from .running import Method
from .server import Server


class Plugin:
    """Serves methods and streams to the main service, by docs/protocol.md.

    ``threads``, 1 to 30, is how many plain functions run at a time; ``frame_limit``, 64 KiB to 64 MiB, is the largest
    message that a client may send after its greeting.
    """

    def __init__(self, *, threads: int = 8, frame_limit: int = FRAME_LIMIT):
        if not 1 <= threads < MOST_SLOTS:
            raise ValueError(f"threads are 1 to {MOST_SLOTS - 1}")
        if not LEAST_FRAME_LIMIT <= frame_limit <= MOST_FRAME_LIMIT:
            raise ValueError(f"frame_limit is {LEAST_FRAME_LIMIT} to {MOST_FRAME_LIMIT} bytes")
        self._threads, self._frame_limit = threads, frame_limit
        self._methods = {}
        self._on_drain = []
        self._journal = None
        self._interrupted = False

    def method(self, function=None, *, name: str = ""):
        """A decorator: ``@plugin.method``, or ``@plugin.method(name=...)``. The function gets the Call and the parameters,
        and what it returns is the result. An ``async def`` runs in the loop, which it must not block; a plain ``def``
        runs in a thread.
        """
        return self._register(function, name, streams=False)

    def stream(self, function=None, *, name: str = ""):
        """As method(), for a function with ``yield`` in it: each value that it yields is a part of the result."""
        return self._register(function, name, streams=True)

    def _register(self, function, name, streams):
        if function is None:
            return lambda decorated: self._register(decorated, name, streams)
        method = Method(name or function.__name__, function, streams)
        if method.name in self._methods:
            raise ValueError(f"there are two methods '{method.name}'")
        self._methods[method.name] = method
        return function

    def on_drain(self, function):
        """A decorator: the function, which may be an ``async def``, is called when the plugin is asked to stop. Calls are
        served until clients have left, also meanwhile.
        """
        self._on_drain.append(function)
        return function

    def checkpoint(self, name: str, schema: int = 0) -> Checkpoint:
        """State that is found again after a restart or an upgrade; needs `state` in the declaration."""
        return Checkpoint(name, schema)

    def journal(self) -> Journal:
        """Accepted work that is not lost with the process; needs `state` in the declaration. Always the same one."""
        if self._journal is None:
            self._journal = Journal()
        return self._journal

    def run(self):
        """Serves until it is asked to stop and clients have left. For a program that does nothing else."""
        asyncio.run(self.serve())

    async def serve(self):
        """As run(), for a program with a loop of its own. Whatever has to be there before the first call is to be awaited
        before this: bulkhead is told then that the plugin is ready.
        """
        loop = asyncio.get_running_loop()
        listener = listening.inherited()
        server = Server(self._methods, self._threads, self._frame_limit, Notifier())
        # Whoever sees the socket may ask it to stop, and has to be heard.
        with _signals(loop, {signal.SIGTERM: self._drain, signal.SIGINT: self._interrupt}, server):
            if listener is not None:
                await server.serve(listener)
            else:
                await self._serve_by_hand(server)

    async def _serve_by_hand(self, server):
        path = os.environ.get("BULKHEAD_RPC_SOCKET") or f"./{listening.name_by_hand()}.sock"
        try:
            listener = listening.bind(path)
        except OSError as error:
            raise SystemExit(f"cannot serve at {path}: {error.strerror}") from None
        ours = os.lstat(path).st_ino
        try:
            sys.stderr.write(_welcome(path, self._methods))
            await server.serve(listener)
        finally:
            # While this one was draining, another one may have come in its place.
            with contextlib.suppress(OSError):
                if os.lstat(path).st_ino == ours:
                    os.unlink(path)

    def _drain(self, server):
        server.drain(self._on_drain)

    def _interrupt(self, server):
        """By hand: as SIGTERM, and at once when asked again."""
        if self._interrupted:
            server.stop()
        self._interrupted = True
        server.drain(self._on_drain)
        if server.connections():
            sys.stderr.write(f"waiting for {server.connections()} clients to leave; interrupt again to end now\n")


@contextlib.contextmanager
def _signals(loop, handlers, server):
    """Only the main thread may take signals; elsewhere it is for others to end the process."""
    taken = []
    for number, handler in handlers.items():
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, handler, server)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


def _welcome(path: str, methods) -> str:
    """For a person who runs the plugin by hand."""
    names = list(methods)
    served = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    attempt = f"{names[0]} …" if names else "$ping"
    return f"no supervisor here: serving {served or 'nothing'} at {path}; try: {sys.executable} -m bulkhead {path} {attempt}\n"
