"""A plugin in Python: an HTTP/1.1 server on the sockets that bulkhead hands in. Standard library only.

What makes it a good plugin, and is worth copying:
  * It serves on inherited sockets: descriptor 3 and up, LISTEN_FDS of them. It binds nothing itself.
  * It never waits in accept(). All sandboxes of the plugin take connections from the same socket, so
    the one that was announced may be gone already.
  * On SIGTERM it drains (docs/draining.md): it takes who is in the queue already and nobody after them, tells each
    client with its next answer that it is the last one, and exits with status 0 when all have left.
  * It tells what it is doing by its activity page, so that it is known of a hang what hangs.
"""

import asyncio
import os
import signal
import socket

from activity import Activity, Slot

FIRST_FD = 3
MAX_HEAD = 16 * 1024
MAX_BODY = 1024 * 1024
TICK = 1.0  # seconds


def answer(method, path, body):
    """The one function to change: what this plugin is for."""
    return f"hello from python: {method} {path}, {len(body)} bytes, pid {os.getpid()}\n".encode()


class Refused(Exception):
    """A request that is not understood; the text is the status line."""


class Connection(asyncio.Protocol):
    """One client: requests in, answers out, in order."""

    def __init__(self, plugin):
        self.plugin = plugin
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        self.plugin.connections.add(self)

    def connection_lost(self, error):
        self.plugin.connections.discard(self)
        self.plugin.check_finished()

    def data_received(self, data):
        self.received += data
        try:
            while not self.transport.is_closing() and (request := self.next_request()):
                self.respond(*request)
        except Refused as refused:
            self.send(str(refused), b"", keep=False)

    # A client that sends but does not read is not listened to until it does.
    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()

    def next_request(self):
        """Takes one whole request out of what was received; None while something is missing."""
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD:
            raise Refused("431 Request Header Fields Too Large")
        if not end:
            return None
        try:
            first, *lines = head.decode("latin-1").split("\r\n")
            method, path, version = first.split(" ")
            headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            length = int(headers.get("content-length", "0"))
        except ValueError:
            raise Refused("400 Bad Request") from None
        if "transfer-encoding" in headers:
            raise Refused("411 Length Required")
        if not 0 <= length <= MAX_BODY:
            raise Refused("413 Content Too Large")
        if len(rest) < length:
            return None
        self.received = rest[length:]
        wish = headers.get("connection", "").lower()
        keep = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"
        return method, path, rest[:length], keep

    def respond(self, method, path, body, keep):
        request = self.plugin.slot.begin(path)
        text = answer(method, path, body)
        self.send("200 OK", text, keep and not self.plugin.stopping, with_body=method != "HEAD")
        self.plugin.slot.end(request)

    def send(self, status, text, keep, with_body=True):
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(text)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        self.transport.write(head.encode() + (text if with_body else b""))
        if not keep:
            self.transport.close()  # after what was written has gone out


class Plugin:
    """The listening sockets, the connections taken from them, and the end of both."""

    def __init__(self, loop, listeners):
        self.loop = loop
        self.listeners = listeners
        self.connections = set()
        self.accepting = set()
        self.stopping = False
        self.finished = loop.create_future()
        self.activity = Activity()
        self.slot = Slot(self.activity)
        self.tick()
        for listener in listeners:
            listener.setblocking(False)
            loop.add_reader(listener, self.accept, listener)

    def tick(self):
        self.activity.tick()
        self.loop.call_later(TICK, self.tick)

    def accept(self, listener):
        """Takes a single connection at a time, which leaves the next to whoever is idle. False: there is none."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another sandbox was faster, or the client left
        task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: Connection(self), client))
        self.accepting.add(task)
        task.add_done_callback(self.accepting.discard)
        return True

    def stop(self):
        """Who waits in the queue has been told that the connection is made, so it is taken. Connections without a
        request stay until their client asks or leaves: a request may be on its way into any that we would close.
        It is bulkhead that ends what lasts too long.
        """
        if self.stopping:
            return
        self.stopping = True
        for listener in self.listeners:
            self.loop.remove_reader(listener)
            while self.accept(listener):
                pass
            listener.close()
        self.check_finished()

    def check_finished(self):
        if self.stopping and not self.connections and not self.accepting and not self.finished.done():
            self.finished.set_result(None)


async def main():
    count = int(os.environ.get("LISTEN_FDS", "0"))
    if count == 0:
        raise SystemExit("no sockets were handed in (LISTEN_FDS); start this as a plugin")
    loop = asyncio.get_running_loop()
    plugin = Plugin(loop, [socket.socket(fileno=FIRST_FD + i) for i in range(count)])
    loop.add_signal_handler(signal.SIGTERM, plugin.stop)
    await plugin.finished


if __name__ == "__main__":
    asyncio.run(main())
